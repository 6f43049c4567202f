"""Infrastructure as code that widens access or deletes state.

Sources: CIS benchmarks for AWS and Kubernetes, Kubernetes' Pod Security Standards.
"""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.analysers import pipelines
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Rule, line_rule, lines, removals

_PATH = "infra/main.tf"
_KUBERNETES = "deploy/app.yaml"
_TERRAFORM = re.compile(r"\.(?:tf|tfvars|hcl|bicep|tofu)$|\.tf\.json$")
_MANIFEST = re.compile(r"\.(?:ya?ml|json|template)$")
_NOT_MANIFEST = re.compile(r"(?:^|/)(?:package|tsconfig|composer|\.?[\w-]*rc)(?:\.[\w-]+)?\.json$")
_STATE = Rule(
    id="iac.state-file",
    severity=Severity.HIGH,
    message="A state file of the infrastructure is in the change; it holds secrets in plain text.",
    help="Remove it, change the secrets in it, and keep the state in a remote backend.",
    positives=lines("infra/terraform.tfstate", "{}"),
    negatives=lines(_PATH, "terraform {"),
)
_STATEFUL = (
    r"(?:aws_(?:db|rds|s3_bucket|dynamodb|efs|ebs|kms_key|elasticache|redshift|opensearch)\w*"
    r"|google_(?:sql|storage_bucket|bigquery|spanner|kms|bigtable|firestore)\w*"
    r"|azurerm_(?:\w*sql\w*|storage_account|cosmosdb\w*|key_vault|managed_disk))"
)
_GONE = (
    Rule(
        id="iac.data-removed",
        severity=Severity.HIGH,
        message="A resource that holds data is no longer declared, so applying this deletes it.",
        help="Move it with a `moved` or `removed` block, or say that the data may go.",
        pattern=rf'^\s*resource\s+"{_STATEFUL}"\s+"'
        r"|^\s*kind:\s*(?:PersistentVolumeClaim|PersistentVolume|StatefulSet|Namespace)\b",
        positives=removals(_PATH, 'resource "aws_db_instance" "main" {'),
        negatives=removals(_PATH, 'resource "aws_iam_role" "ci" {'),
    ),
    Rule(
        id="iac.protection-removed",
        severity=Severity.HIGH,
        message="A protection against deletion or public access is no longer declared.",
        help="Put it back, or say why it is not needed.",
        pattern=r"(?i)^\s*(?:prevent_destroy|deletion_?protection\w*|block_public_\w+"
        r"|restrict_public_buckets|ignore_public_acls|encrypted|storage_encrypted"
        r"|DeletionPolicy|runAsNonRoot|readOnlyRootFilesystem)\s*[:=]\s*[\"']?(?:true|retain)\b",
        positives=removals(_PATH, "  prevent_destroy = true", "DeletionPolicy: Retain"),
        negatives=removals(_PATH, "  prevent_destroy = false", "  name = true"),
    ),
)
_ADDED = (
    line_rule(
        "iac.open-network",
        Severity.HIGH,
        r"(?i)(?:cidr|source|ranges?|prefix|addresses|ip)\w*[\"']?\s*[:=].*[\"'\[\s]"
        r"(?:0\.0\.0\.0/0|::/0)|\bsource_address_prefix\s*=\s*\"(?:\*|Internet)\"|^\s*-?\s*[\"']?(?:0\.0\.0\.0/0|::/0)[\"']?,?\s*$",
        said=(
            "The whole internet may connect, or be connected to.",
            "Name the networks that need it.",
        ),
        path=_PATH,
        examples=(
            ('  cidr_blocks = ["0.0.0.0/0"]', "        CidrIp: 0.0.0.0/0", '  "::/0",'),
            ('  cidr_blocks = ["10.0.0.0/8"]', '  bind = "0.0.0.0"', '"source": "*"'),
        ),
    ),
    line_rule(
        "iac.wildcard-rights",
        Severity.HIGH,
        r"(?i)[\"']?\bactions?[\"']?\s*[:=]\s*\[?\s*[\"'](?:[\w-]+:)?\*[\"']"
        r"|\b(?:verbs|apiGroups|resources):\s*\[?\s*[\"']\*[\"']"
        r"|\bcluster-admin\b|\bAdministratorAccess\b|\broles/(?:owner|editor)\b"
        r"|[\"']?\bprincipals?[\"']?\s*[:=]\s*\{?[^}]*[\"']\*[\"']",
        said=(
            "Rights are given with a wildcard or as an administrator.",
            "List the actions that are needed, on the resources that need them.",
        ),
        path=_PATH,
        examples=(
            ('  actions = ["*"]', '"Action": "s3:*"', 'verbs: ["*"]', "name: cluster-admin"),
            ('  actions = ["s3:GetObject"]', 'verbs: ["get", "list"]'),
        ),
    ),
    line_rule(
        "iac.public",
        Severity.HIGH,
        r"(?i)\bpublic-read(?:-write)?\b|\bpublicly_?accessible[\"']?\s*[:=]\s*true\b"
        r"|\bblock_?public_?\w+[\"']?\s*[:=]\s*false\b|\b(?:ignore_public_acls"
        r"|restrict_public_buckets)\s*=\s*false|\ballUsers\b|\ballAuthenticatedUsers\b"
        r"|\b(?:allow_blob_public_access|public_network_access_enabled)\s*=\s*true",
        said=(
            "A resource becomes public.",
            "Keep it private, and put what must be public behind a service that serves it.",
        ),
        path=_PATH,
        examples=(
            ('  acl = "public-read"', "  publicly_accessible = true", 'member = "allUsers"'),
            ('  acl = "private"', "  publicly_accessible = false"),
        ),
    ),
    line_rule(
        "iac.unprotected",
        Severity.HIGH,
        r"(?i)\b(?:prevent_destroy|deletion_?protection\w*)[\"']?\s*[:=]\s*false\b"
        r"|\b(?:force_destroy|skip_final_snapshot|force_delete)\s*=\s*true\b"
        r"|\bDeletionPolicy[\"']?\s*:\s*[\"']?Delete\b|\bbackup_retention_period\s*=\s*0\b"
        r"|\bpersistentVolumeReclaimPolicy:\s*Delete\b",
        said=(
            "State can be deleted without a further question.",
            "Keep the protection, and lift it by hand for the one deletion.",
        ),
        path=_PATH,
        examples=(
            ("  force_destroy = true", "  deletion_protection = false"),
            ("  deletion_protection = true", "  skip_final_snapshot = false"),
        ),
    ),
    line_rule(
        "iac.unencrypted",
        Severity.MEDIUM,
        r"(?i)\b(?:storage_|at_rest_|transit_)?encrypt(?:ed|ion|ion_enabled)[\"']?\s*[:=]\s*false\b"
        r"|\benable_https_traffic_only\s*=\s*false",
        said=("Data is kept or sent unencrypted.", "Switch encryption on."),
        path=_PATH,
        examples=(("  storage_encrypted = false",), ("  storage_encrypted = true",)),
    ),
    line_rule(
        "iac.privileged",
        Severity.HIGH,
        r"^\s*-?\s*(?:privileged|hostNetwork|hostPID|hostIPC|allowPrivilegeEscalation):\s*true\b"
        r"|^\s*-?\s*runAsUser:\s*0\b|^\s*-?\s*runAsNonRoot:\s*false\b"
        r"|^\s*-\s*[\"']?(?:SYS_ADMIN|NET_ADMIN|SYS_PTRACE)[\"']?\s*$|\bprivileged\s*=\s*true\b",
        said=(
            "A container gets rights over the machine that it runs on.",
            "Give it the one capability that it needs, and a user that is not root.",
        ),
        path=_KUBERNETES,
        examples=(
            ("      privileged: true", "  hostNetwork: true", "          - SYS_ADMIN"),
            ("      privileged: false", "  runAsUser: 1000", "          - ALL"),
        ),
    ),
)


class Infrastructure:
    """Finds widened access and deleted state in Terraform, Kubernetes and CloudFormation."""

    rules = (_STATE, *_GONE, *_ADDED)

    def __init__(self) -> None:
        self._added = Matcher(_ADDED, comments=("#", "//"))
        self._gone = Matcher(_GONE, comments=("#", "//"))

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if file.path.endswith((".tfstate", ".tfstate.backup")) and file.status != "deleted":
                yield _STATE.at(file)
                continue
            if not _is_infrastructure(file.path):
                continue
            for rule, line in self._added.find(file.added):
                yield rule.at(file, line)
            for rule, line in self._gone.find(file.gone):
                yield rule.at(file, line)


def _is_infrastructure(path: str) -> bool:
    if languages.is_test(path) or languages.is_generated(path):
        return False
    if _TERRAFORM.search(path):
        return True
    if pipelines.is_pipeline(path) or pipelines.is_image(path) or _NOT_MANIFEST.search(path):
        return False
    return _MANIFEST.search(path) is not None
