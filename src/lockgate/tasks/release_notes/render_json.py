"""Writes the whole answer as JSON, by the published schema."""

import json

from lockgate.domain.call import Answer


def render(answer: Answer) -> str:
    """Return the answer; equal inputs and releases give equal bytes.

    The call's id, its time and its usage are left out: the audit entry has them.
    """
    value = {
        **answer.output,
        "engine": str(answer.engine),
        "degraded": list(answer.degraded),
        "evidence": list(answer.evidence),
        "confidence": answer.confidence,
        "release": str(answer.release),
    }
    return json.dumps(value, ensure_ascii=False, indent=2)
