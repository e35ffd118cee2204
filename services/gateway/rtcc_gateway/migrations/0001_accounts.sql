-- What the one door itself knows: proofs of identity and sessions. People and roles are registry's.

create table account (
    person_id text primary key,
    agency_id text not null,
    -- argon2id, encoded; null: signs in with a passkey or OIDC only
    password_hash text,
    -- AES-256-GCM with the person's id bound in
    totp_sealed bytea,
    -- the newest time step used: a code works once
    totp_last_step bigint not null default 0,
    created_at timestamptz not null,
    used_at timestamptz not null
);
select rtcc_protect('account');

create table passkey (
    credential_id bytea primary key,
    person_id text not null,
    agency_id text not null,
    public_key bytea not null,
    sign_count bigint not null,
    name text not null,
    created_at timestamptz not null,
    used_at timestamptz not null
);
create index passkey_of_person on passkey (person_id);
select rtcc_protect('passkey');

create table enrolment (
    token_hash bytea primary key,
    person_id text not null,
    agency_id text not null,
    totp_sealed bytea not null,
    bad_codes integer not null default 0,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index enrolment_of_person on enrolment (person_id);
select rtcc_protect('enrolment');

create table demo_link (
    token_hash bytea primary key,
    person_id text not null,
    agency_id text not null,
    next_path text not null,
    expires_at timestamptz not null
);
select rtcc_protect('demo_link');

-- Between two steps of a sign-in.
create table challenge (
    token_hash bytea primary key,
    -- '' while nobody is known yet
    agency_id text not null,
    person_id text not null,
    kind text not null,
    data jsonb not null,
    expires_at timestamptz not null
);
select rtcc_protect('challenge');

-- R2. A try is written before it is checked and removed when it was right: tries in parallel can't slip through.
create table sign_in_try (
    try_id text primary key,
    login text not null,
    -- '' for a login that nobody has
    agency_id text not null,
    tried_at timestamptz not null
);
create index sign_in_try_of_login on sign_in_try (login, tried_at);
select rtcc_protect('sign_in_try');

create table sign_in_lock (
    login text primary key,
    agency_id text not null,
    locked_at timestamptz not null
);
select rtcc_protect('sign_in_lock');

create table session (
    session_id text primary key,
    token_hash bytea not null unique,
    person_id text not null,
    agency_id text not null,
    method text not null,
    started_at timestamptz not null,
    fresh_at timestamptz not null,
    active_at timestamptz not null,
    last_seen_at timestamptz not null,
    locked boolean not null default false,
    lock_exempt boolean not null,
    source_address text not null,
    user_agent text not null
);
create index session_of_person on session (person_id);
create index session_of_agency on session (agency_id);
select rtcc_protect('session');
