"""An agency's NATS account: its key in a Secret, its token at the servers, its devices' credentials in others."""

from collections.abc import Collection, Set

from rtcc_chassis.clock import Clock
from rtcc_operator.app.ports import Accounts, Cluster, Outdated
from rtcc_operator.domain.accounts import agency_account, devices_user, revoked_users, source_user, source_user_key
from rtcc_operator.domain.conditions import BUS, Condition
from rtcc_operator.domain.keys import Key
from rtcc_operator.domain.nats_jwt import claims_of, credentials_file, same_meaning, token_of_credentials
from rtcc_operator.domain.resources import GROUP, AgencySpec, BusLimits


class AgencyBus:
    """`operator` and `platform` are the keys that sign accounts and what they may import."""

    def __init__(
        self, cluster: Cluster, accounts: Accounts, operator: Key, platform: Key, clock: Clock, public_url: str, mqtt_address: str = ""
    ) -> None:
        self._cluster = cluster
        self._accounts = accounts
        self._operator = operator
        self._platform = platform
        self._clock = clock
        self._public_url = public_url
        self._mqtt_address = mqtt_address

    async def bring_about(self, spec: AgencySpec, former_account: str, former_sources: Collection[str] = ()) -> tuple[Condition, str]:
        """The condition, and the account's public key. `former_account`: what the status names; another one than ours is closed.

        `former_sources`: those that ever had a login over MQTT; it is revoked for those that aren't declared any more.
        """
        key = await self._account_key(spec.agency_id)
        if former_account and former_account != key.public:
            # the Secret with its seed is gone: nobody may go on using what it signed
            await self._close(former_account, spec.agency_id, spec.bus)
        opened = spec.agency.enabled
        declared, former = ({source_user_key(key, source_id) for source_id in ids} for ids in (spec.mqtt_sources, former_sources))
        await self._push(key.public, spec.agency_id, spec.bus, opened=opened, mqtt=declared, revoked=former)
        await self._device_credentials(key, spec.agency_id)
        for source_id in spec.mqtt_sources:
            await self._source_login(key, spec.agency_id, source_id)
        if not opened:
            return Condition(BUS, "True", "AccountClosed", "The agency is suspended: its account lets nobody in."), key.public
        return Condition(BUS, "True", "AccountOpen", f"The NATS servers hold the account {key.public}."), key.public

    async def close(self, agency_id: str, account: str) -> None:
        """Cuts the agency's devices off. The key stays, so that the same account opens again if the agency comes back."""
        stored = await self._cluster.secret(_account_secret(agency_id))
        public = Key(stored["account-seed"], "account").public if stored and "account-seed" in stored else account
        if public:
            await self._close(public, agency_id, BusLimits())

    async def _close(self, account: str, agency_id: str, limits: BusLimits) -> None:
        await self._push(account, agency_id, limits, opened=False)

    async def _push(
        self,
        account: str,
        agency_id: str,
        limits: BusLimits,
        *,
        opened: bool,
        mqtt: Set[str] = frozenset(),
        revoked: Set[str] = frozenset(),
    ) -> None:
        """`mqtt`, `revoked`: users by their public keys. Who was revoked before stays so, even if the resource was gone meanwhile."""
        held = await self._accounts.current(account)
        gone = revoked | revoked_users(held) if held else revoked
        wanted = agency_account(
            self._operator, self._platform, account, agency_id, limits, self._now_s(), open_=opened, mqtt=bool(mqtt), revoked=gone - mqtt
        )
        if not held or not same_meaning(held, wanted):
            await self._accounts.push(wanted)

    async def _account_key(self, agency_id: str) -> Key:
        name = _account_secret(agency_id)
        stored = await self._cluster.secret(name)
        if stored is None:
            key = Key.new("account")
            try:
                await self._cluster.create_secret(name, {"account-seed": key.seed, "account": key.public}, _labels(agency_id))
                return key
            except Outdated:
                stored = await self._cluster.secret(name) or {}
        return Key(stored.get("account-seed", ""), "account")

    async def _device_credentials(self, account: Key, agency_id: str) -> None:
        """Made once. Another account needs others: the old Secret is told apart by its issuer and must be removed by whoever uses it."""
        name = f"{agency_id}-nats-devices"
        stored = await self._cluster.secret(name)
        if stored is not None:
            _must_be_of(account, token_of_credentials(stored.get("devices.creds", "")), name)
            return
        user = Key.new("user")
        token = devices_user(account, user, agency_id, self._now_s())
        data = {"devices.creds": credentials_file(token, user.seed), "url": self._public_url}
        await self._cluster.create_secret(name, data, _labels(agency_id))

    async def _source_login(self, account: Key, agency_id: str, source_id: str) -> None:
        """What the device is told: user, password, and where to connect."""
        name = f"{agency_id}-mqtt-{source_id}"
        stored = await self._cluster.secret(name)
        if stored is not None:
            _must_be_of(account, stored.get("password", ""), name)
            return
        data = {"username": source_id, "password": source_user(account, source_id, self._now_s()), "address": self._mqtt_address}
        await self._cluster.create_secret(name, data, _labels(agency_id))

    def _now_s(self) -> int:
        return int(self._clock().timestamp())


class StaleCredentials(Outdated):
    """The devices' Secret belongs to an account that is no more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The Secret {name} holds credentials of a former account: delete it and a new one is made.")


def _must_be_of(account: Key, token: str, secret: str) -> None:
    if claims_of(token).get("iss") != account.public:
        raise StaleCredentials(secret)


def _account_secret(agency_id: str) -> str:
    return f"{agency_id}-nats-account"


def _labels(agency_id: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "rtcc-operator", f"{GROUP}/agency": agency_id}
