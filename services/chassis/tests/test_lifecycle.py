"""How a process ends, and what its log says about it."""

import asyncio
import logging

import pytest

from rtcc_chassis.lifecycle import EXIT_FAILED, Lifecycle
from rtcc_chassis.settings import InvalidSetting


async def _ended_by(error: Exception) -> Lifecycle:
    async def work() -> None:
        raise error

    lifecycle = Lifecycle()
    lifecycle.spawn(work(), "intake")
    async with asyncio.timeout(60):
        await lifecycle.stopping.wait()
    return lifecycle


async def test_a_setting_that_cant_be_used_is_named_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        lifecycle = await _ended_by(InvalidSetting("RTCC_INTAKE_COT_KEY_FILE", "/etc/rtcc/secret/cot.key can't be read"))
    assert lifecycle.exit_code == EXIT_FAILED
    (record,) = caplog.records
    assert (
        record.getMessage()
        == "intake can't run: The setting RTCC_INTAKE_COT_KEY_FILE can't be used: /etc/rtcc/secret/cot.key can't be read."
    )
    assert record.exc_info is None


async def test_the_text_of_any_other_error_stays_out_of_the_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        lifecycle = await _ended_by(ValueError("the row of Ada Lind"))
    assert lifecycle.exit_code == EXIT_FAILED
    (record,) = caplog.records
    assert record.getMessage() == "intake ended with an error"
