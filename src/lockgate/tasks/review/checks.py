"""Judges drafts of reviews."""

from collections.abc import Mapping, Sequence

from lockgate.domain.call import Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.finding import Severity
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.errors import InvalidInput
from lockgate.tasks.review import diff, grounding, output, phrase, schema, score, summary


class Places:
    """Every finding is about a file of the change, and every line is one that it touches."""

    name = "places"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        try:
            files = diff.parse(str(given["diff"]))
        except InvalidInput as error:
            return _fail(self.name, error.message)
        known: dict[str, set[int]] = {}
        asked = {finding.path for finding in output.decode(draft.output)}
        for file in files:
            if file.path in asked:
                lines = known.setdefault(file.path, set())
                lines.update(line.number for line in (*file.added, *file.removed))
        for name in output.decode_omitted(given.get("omitted")).names or ("",):
            known.setdefault(name, set())
        for finding in output.decode(draft.output):
            if finding.path not in known:
                return _fail(self.name, f"`{finding.path}` is not in the diff")
            if finding.line is not None and finding.line not in known[finding.path]:
                return _fail(self.name, f"the diff has no line {finding.path}:{finding.line}")
        return _pass(self.name)


class Fingerprints:
    """Every finding has the fingerprint of what it says, and no two have the same."""

    name = "fingerprints"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        listed = draft.output["findings"]
        assert isinstance(listed, Sequence)
        said = [item["fingerprint"] for item in listed if isinstance(item, Mapping)]
        if said != [finding.fingerprint for finding in output.decode(draft.output)]:
            return _fail(self.name, "a fingerprint is not that of its finding")
        if len(set(said)) != len(said):
            return _fail(self.name, "two findings have the same fingerprint")
        return _pass(self.name)


class Risk:
    """Score and risk are those of the table of points."""

    name = "risk"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        points = score.score(output.decode(draft.output))
        said = (draft.output["score"], draft.output["risk"])
        table = (points, score.risk(points).name.lower())
        if said != table:
            return _fail(self.name, f"it says {said}, the table of points says {table}")
        return _pass(self.name)


class Summary:
    """The summary is short, its numbers are right, and the findings say what it says."""

    name = "summary"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        text = str(draft.output["summary"])
        if len(text) > schema.MAX_SUMMARY or "\n" in text:
            return _fail(self.name, f"it has {len(text)} characters")
        findings = output.decode(draft.output)
        counted = summary.counted(Severity[str(draft.output["risk"]).upper()], findings)
        if not text.startswith(counted):
            return _fail(self.name, "its numbers are not those of the findings")
        rest = text[len(counted) :].strip()
        if rest == summary.pointed(findings):
            return _pass(self.name)
        problem = grounding.fault(rest, phrase.evidence(findings))
        return _fail(self.name, problem) if problem else _pass(self.name)


ALL = (Places(), Fingerprints(), Risk(), Summary())


def _pass(name: str) -> Verdict:
    return Verdict(check=name, outcome=Outcome.PASS)


def _fail(name: str, reason: str) -> Verdict:
    return Verdict(check=name, outcome=Outcome.FAIL, reason=reason)
