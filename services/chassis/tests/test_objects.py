"""Objects on a real S3 (SeaweedFS): by agency, checked at start."""

import pytest

from rtcc_chassis.errors import NotFound, Refused
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform


async def test_an_agency_reads_and_writes_its_own_bucket_alone(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    objects = (await small_platform.context("intake")).objects
    own, other = Scope.service("intake", "anchor"), Scope.service("intake", "beacon")
    digest = await objects.put(own, "anchor", "reads/1.jpg", b"picture", "image/jpeg")
    assert len(digest) == 64
    assert await objects.get(own, "anchor", "reads/1.jpg") == b"picture"
    with pytest.raises(Refused):
        await objects.get(other, "anchor", "reads/1.jpg")
    with pytest.raises(NotFound):
        await objects.get(own, "anchor", "reads/none.jpg")


async def test_the_embedded_store_can_do_what_is_relied_on(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    await (await small_platform.context("intake")).objects.check_capabilities()
