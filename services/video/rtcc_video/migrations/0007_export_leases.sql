-- Several processes make exports: one that ended in the middle of one leaves it to another, without taking what a living one works at.

alter table footage_export add column held_by text not null default '';
alter table footage_export add column held_until timestamptz not null default '-infinity';
