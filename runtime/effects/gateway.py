"""Effects over HTTP: one POST an effect, with the idempotency key that the target must honour.

    POST <url>      Idempotency-Key: <key>      Rehydrate-Agent: <agent>      Rehydrate-Epoch: <n>
                    Rehydrate-Kind: <kind>      Rehydrate-Target: <target>

The target answers 2xx with `{"receipt": "…"}`, also when it has done this key before; 412 when it has seen a newer epoch of the
agent; another 4xx when it will never do it. Anything else means: ask again under the same key. The header is the one of
the IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

import httpx
import msgspec

from domain.ports.effects import Effect, EffectRefused, EffectUnavailable, StaleEpoch

_STALE = 412
_TRY_AGAIN = frozenset({408, 425, 429})


class _Answer(msgspec.Struct):
    receipt: str


class Gateway:
    """The port `EffectAdapter` on an HTTP endpoint. `timeout_s` bounds one request."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self._url = url
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False)

    async def perform(self, effect: Effect) -> str:
        headers = {
            "Idempotency-Key": effect.key,
            "Rehydrate-Agent": effect.agent,
            "Rehydrate-Epoch": str(effect.epoch),
            "Rehydrate-Kind": effect.kind,
            "Rehydrate-Target": effect.target,
            "Content-Type": effect.media_type,
        }
        try:
            response = await self._client.post(self._url, content=effect.payload, headers=headers)
        except httpx.HTTPError as error:
            raise EffectUnavailable(f"{self._url}: {type(error).__name__}: {error}") from error
        if response.status_code == _STALE:
            raise StaleEpoch(f"{self._url}: epoch {effect.epoch} of {effect.agent} is over")
        if 400 <= response.status_code < 500 and response.status_code not in _TRY_AGAIN:
            raise EffectRefused(f"{self._url}: {response.status_code} {response.text[:200]}")
        if not response.is_success:
            raise EffectUnavailable(f"{self._url}: {response.status_code}")
        try:
            return msgspec.json.decode(response.content, type=_Answer).receipt
        except msgspec.DecodeError as error:
            raise EffectUnavailable(f"{self._url}: no receipt in the answer: {error}") from error

    async def close(self) -> None:
        await self._client.aclose()
