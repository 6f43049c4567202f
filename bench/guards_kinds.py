# ruff: noqa: E501
"""Secrets of many providers, made up by the formats that their documentation gives.

No value is real: each is drawn from a fixed generator. A kind says under which name such a value
stands; `bare` kinds have no prefix of their own, so only that name tells what they are.
"""

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

Dice = random.Random
LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = LOWER + UPPER + DIGITS
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"
BASE32 = UPPER + "234567"


@dataclass(frozen=True)
class Kind:
    """One kind of secret."""

    name: str
    variable: str
    """The name that it is assigned to, in lower case with underscores."""
    make: Callable[[Dice], str]
    bare: bool = False


def _some(dice: Dice, alphabet: str, size: int) -> str:
    return "".join(dice.choices(alphabet, k=size))


def _form(form: str) -> Callable[[Dice], str]:
    """Return a maker for a form such as `ghp_{a36}`: a letter names the alphabet, then the size."""
    alphabets = {
        "a": ALNUM, "h": HEX, "u": URLSAFE, "b": BASE64, "t": BASE32, "l": LOWER + DIGITS,
        "U": UPPER + DIGITS, "d": DIGITS, "L": LOWER + UPPER, "H": "0123456789ABCDEF",
        "n": "123456789", "A": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    }  # fmt: skip

    def make(dice: Dice) -> str:
        parts = form.split("{")
        made = [parts[0]]
        for part in parts[1:]:
            code, _, rest = part.partition("}")
            made += _some(dice, alphabets[code[0]], int(code[1:])), rest
        return "".join(made)

    return make


def _uuid(dice: Dice) -> str:
    return _form("{h8}-{h4}-4{h3}-a{h3}-{h12}")(dice)


def _jwt(dice: Dice) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": "HS256", "typ": "JWT"})
    body = part({"sub": str(dice.randrange(10**9)), "iat": 1700000000 + dice.randrange(10**7)})
    return f"{head}.{body}.{_some(dice, URLSAFE, 43)}"


def _pem(kind: str, lines: int) -> Callable[[Dice], str]:
    def make(dice: Dice) -> str:
        body = "\n".join(_some(dice, BASE64, 64) for _ in range(lines))
        return f"-----BEGIN {kind}-----\n{body}\n{_some(dice, BASE64, 38)}==\n-----END {kind}-----"

    return make


def _password(dice: Dice) -> str:
    """Return a password as a generator makes it: 12 to 20 letters, digits and a few signs."""
    size = dice.randrange(12, 21)
    return (
        dice.choice(UPPER)
        + _some(dice, ALNUM + "!@#%^*-_", size - 3)
        + dice.choice(DIGITS)
        + dice.choice(LOWER)
    )


def _chosen(dice: Dice) -> str:
    """Return a password as a person chooses it."""
    word = dice.choice(
        ("Winter", "Dragon", "Tiger", "Kubern3tes", "Frankfurt", "Blueberry", "Falcon", "Postgr3s")
    )
    return f"{word}{dice.choice('!@#$_-')}{dice.randrange(10, 9999)}{dice.choice(('', '!', '#x', 'Qz'))}"


def _form_of_discord(dice: Dice) -> str:
    head = base64.urlsafe_b64encode(str(dice.randrange(10**17, 10**18)).encode()).decode()
    return f"{head.rstrip('=')}.{_some(dice, URLSAFE, 6)}.{_some(dice, URLSAFE, 38)}"


def _form_of_grafana(dice: Dice) -> str:
    key = json.dumps({"k": _some(dice, ALNUM, 32), "n": "ci", "id": 1}, separators=(",", ":"))
    return base64.b64encode(key.encode()).decode()


KINDS: tuple[Kind, ...] = (
    Kind("aws-access-key", "aws_access_key_id", _form("AKIA{t16}")),
    Kind("aws-temporary-key", "aws_access_key_id", _form("ASIA{t16}")),
    Kind("aws-secret", "aws_secret_access_key", _form("{b40}"), bare=True),
    Kind("aws-session-token", "aws_session_token", _form("IQoJb3JpZ2luX2Vj{b400}=="), bare=True),
    Kind("aws-bedrock-key", "aws_bearer_token_bedrock", _form("ABSKQmVkcm9ja0FQSUtleS{b110}")),
    Kind("gcp-api-key", "google_api_key", _form("AIzaSy{u33}")),
    Kind("gcp-oauth-token", "google_access_token", _form("ya29.a0Af{u180}")),
    Kind("gcp-client-secret", "client_secret", _form("GOCSPX-{u28}")),
    Kind("gcp-refresh-token", "refresh_token", _form("1//0{u60}")),
    Kind(
        "azure-storage",
        "account_key",
        lambda d: (
            "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + _form("{b86}==")(d)
        ),
    ),
    Kind(
        "azure-servicebus",
        "servicebus",
        lambda d: (
            "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey="
            + _form("{b43}=")(d)
        ),
    ),
    Kind("azure-client-secret", "azure_client_secret", _form("{a3}8Q~{u34}")),
    Kind(
        "azure-sas",
        "sas",
        lambda d: (
            "https://acct.blob.core.windows.net/c/b?sv=2023-11-03&se=2027-01-01&sr=b&sp=r&sig="
            + _form("{a43}%3D")(d)
        ),
    ),
    Kind("azure-devops-pat", "azure_devops_pat", _form("{a76}AZDO{a4}")),
    Kind("digitalocean", "digitalocean_token", _form("dop_v1_{h64}")),
    Kind("hetzner", "hcloud_token", _form("{a64}"), bare=True),
    Kind("cloudflare", "cloudflare_api_token", _form("{u40}"), bare=True),
    Kind("cloudflare-origin", "origin_ca_key", _form("v1.0-{h24}-{h146}")),
    Kind("linode", "linode_token", _form("{h64}"), bare=True),
    Kind("heroku", "heroku_api_key", _form("HRKU-AA{u58}")),
    Kind("heroku-legacy", "heroku_api_key", _uuid, bare=True),
    Kind("scaleway", "scw_access_key", _form("SCW{U17}")),
    Kind("alibaba", "access_key_id", _form("LTAI{a20}")),
    Kind("tencent", "secret_id", _form("AKID{a32}")),
    Kind("flyio", "fly_api_token", _form("fm2_{b200}")),
    Kind("netlify", "netlify_auth_token", _form("nfp_{a36}")),
    Kind("supabase", "supabase_access_token", _form("sbp_{h40}")),
    Kind("planetscale", "db_token", _form("pscale_tkn_{u43}")),
    Kind("doppler", "doppler_token", _form("dp.pt.{a43}")),
    Kind("pulumi", "pulumi_access_token", _form("pul-{h40}")),
    Kind("tailscale", "ts_authkey", _form("tskey-auth-k{a12}CNTRL-{a32}")),
    Kind("github-classic", "github_token", _form("ghp_{a36}")),
    Kind("github-fine-grained", "gh_pat", _form("github_pat_{a22}_{a59}")),
    Kind("github-app", "github_token", _form("ghs_{a36}")),
    Kind("github-oauth", "oauth_token", _form("gho_{a36}")),
    Kind("gitlab-pat", "gitlab_token", _form("glpat-{u20}")),
    Kind("gitlab-pat-routable", "gitlab_token", _form("glpat-{u27}.01.{l9}")),
    Kind("gitlab-deploy", "deploy_token", _form("gldt-{u20}")),
    Kind("gitlab-runner", "runner_token", _form("glrt-{u20}")),
    Kind("gitlab-runner-new", "runner_token", _form("glrtr-{u20}")),
    Kind("gitlab-runner-legacy", "registration_token", _form("GR1348941{u20}")),
    Kind("gitlab-job", "ci_job_token", _form("glcbt-6f_{u20}")),
    Kind("gitlab-trigger", "trigger_token", _form("glptt-{h40}")),
    Kind("gitlab-feed", "feed_token", _form("glft-{u20}")),
    Kind("gitlab-feature-flags", "client_token", _form("glffct-{u20}")),
    Kind("gitlab-incoming-mail", "mail_token", _form("glimt-{a25}")),
    Kind("gitlab-agent", "agent_token", _form("glagent-{u50}")),
    Kind("gitlab-oauth-app", "app_secret", _form("gloas-{h64}")),
    Kind("gitlab-scim", "scim_token", _form("glsoat-{u20}")),
    Kind("bitbucket", "app_password", _form("ATBB{a32}")),
    Kind("atlassian", "jira_token", _form("ATATT3xFfGF0{u170}={H8}")),
    Kind("slack-bot", "slack_token", _form("xoxb-{d12}-{d13}-{a24}")),
    Kind("slack-user", "slack_token", _form("xoxp-{d12}-{d12}-{d13}-{h32}")),
    Kind("slack-client", "slack_token", _form("xoxc-{d12}-{d12}-{d13}-{h64}")),
    Kind("slack-app", "slack_app_token", _form("xapp-1-A{U10}-{d13}-{h64}")),
    Kind("slack-refresh", "slack_refresh_token", _form("xoxe-1-{a146}")),
    Kind(
        "slack-webhook",
        "slack_webhook",
        _form("https://hooks.slack.com/services/T{U8}/B{U10}/{a24}"),
    ),
    Kind(
        "teams-webhook",
        "teams_webhook",
        lambda d: (
            f"https://acme.webhook.office.com/webhookb2/{_uuid(d)}@{_uuid(d)}/IncomingWebhook/{_some(d, HEX, 32)}/{_uuid(d)}"
        ),
    ),
    Kind("discord-bot", "discord_token", _form_of_discord),
    Kind("discord-webhook", "webhook", _form("https://discord.com/api/webhooks/{n18}/{u68}")),
    Kind("telegram", "telegram_bot_token", _form("{n10}:AA{u33}")),
    Kind("stripe", "stripe_secret_key", _form("sk_live_{a99}")),
    Kind("stripe-restricted", "stripe_key", _form("rk_live_{a24}")),
    Kind("stripe-webhook", "webhook_secret", _form("whsec_{a32}")),
    Kind("square", "square_token", _form("EAAA{u60}")),
    Kind("square-oauth", "square_secret", _form("sq0csp-{u43}")),
    Kind("shopify", "shopify_token", _form("shpat_{h32}")),
    Kind("braintree", "braintree_token", _form("access_token$production${l16}${h32}")),
    Kind("twilio-key", "twilio_api_key", _form("SK{h32}")),
    Kind("twilio-auth", "twilio_auth_token", _form("{h32}"), bare=True),
    Kind("sendgrid", "sendgrid_api_key", _form("SG.{u22}.{u43}")),
    Kind("mailgun", "mailgun_api_key", _form("key-{h32}")),
    Kind("mailchimp", "mailchimp_api_key", _form("{h32}-us14")),
    Kind("brevo", "brevo_api_key", _form("xkeysib-{h64}-{a16}")),
    Kind("resend", "resend_api_key", _form("re_{a8}_{a24}")),
    Kind("npm", "npm_token", _form("npm_{a36}")),
    Kind("pypi", "pypi_token", _form("pypi-AgEIcHlwaS5vcmc{u150}")),
    Kind("testpypi", "pypi_token", _form("pypi-AgENdGVzdC5weXBpLm9yZw{u150}")),
    Kind("docker-hub", "docker_token", _form("dckr_pat_{u27}")),
    Kind("rubygems", "gem_host_api_key", _form("rubygems_{h48}")),
    Kind("nuget", "nuget_api_key", _form("oy2{l43}")),
    Kind("crates", "cargo_registry_token", _form("cio{a32}")),
    Kind("artifactory", "artifactory_api_key", _form("AKCp{a69}")),
    Kind("huggingface", "hf_token", _form("hf_{L34}")),
    Kind("openai", "openai_api_key", _form("sk-proj-{u74}T3BlbkFJ{u74}")),
    Kind("openai-legacy", "openai_api_key", _form("sk-{a20}T3BlbkFJ{a20}")),
    Kind("anthropic", "anthropic_api_key", _form("sk-ant-api03-{u93}AA")),
    Kind("anthropic-oauth", "claude_token", _form("sk-ant-oat01-{u93}AA")),
    Kind("openrouter", "openrouter_api_key", _form("sk-or-v1-{h64}")),
    Kind("deepseek", "deepseek_api_key", _form("sk-{h32}")),
    Kind("groq", "groq_api_key", _form("gsk_{a52}")),
    Kind("xai", "xai_api_key", _form("xai-{a80}")),
    Kind("perplexity", "pplx_api_key", _form("pplx-{a48}")),
    Kind("replicate", "replicate_api_token", _form("r8_{a37}")),
    Kind("nvidia", "nvidia_api_key", _form("nvapi-{u64}")),
    Kind("langsmith", "langsmith_api_key", _form("lsv2_pt_{h32}_{h10}")),
    Kind("pinecone", "pinecone_api_key", _form("pcsk_{a6}_{a63}")),
    Kind("vault", "vault_token", _form("hvs.{u90}")),
    Kind("vault-legacy", "vault_token", _form("s.{a24}")),
    Kind("terraform", "tf_token", _form("{a14}.atlasv1.{u67}")),
    Kind("datadog-api", "dd_api_key", _form("{h32}"), bare=True),
    Kind("datadog-app", "datadog_app_key", _form("{h40}"), bare=True),
    Kind("newrelic-user", "new_relic_api_key", _form("NRAK-{U27}")),
    Kind("newrelic-license", "new_relic_license_key", _form("{h36}NRAL")),
    Kind(
        "sentry-org",
        "sentry_auth_token",
        lambda d: (
            "sntrys_"
            + base64.b64encode(
                json.dumps(
                    {
                        "iat": d.randrange(10**9, 2 * 10**9),
                        "url": "https://sentry.io",
                        "org": "acme",
                    }
                ).encode()
            )
            .decode()
            .rstrip("=")
            + "_"
            + _some(d, BASE64, 43)
        ),
    ),
    Kind("sentry-user", "sentry_auth_token", _form("sntryu_{h64}")),
    Kind("grafana-sa", "grafana_token", _form("glsa_{a32}_{h8}")),
    Kind("grafana-cloud", "grafana_cloud_token", _form("glc_{b90}")),
    Kind("grafana-legacy", "grafana_api_key", _form_of_grafana),
    Kind("dynatrace", "dynatrace_token", _form("dt0c01.{t24}.{t64}")),
    Kind("sonarqube", "sonar_token", _form("sqp_{h40}")),
    Kind("snyk", "snyk_token", _uuid, bare=True),
    Kind("circleci", "circle_token", _form("CCIPAT_{a22}_{h40}")),
    Kind("buildkite", "buildkite_token", _form("bkua_{h40}")),
    Kind("postman", "postman_api_key", _form("PMAK-{h24}-{h34}")),
    Kind("figma", "figma_token", _form("figd_{u40}")),
    Kind("notion", "notion_token", _form("ntn_{a46}")),
    Kind("airtable", "airtable_token", _form("pat{a14}.{h64}")),
    Kind("linear", "linear_api_key", _form("lin_api_{a40}")),
    Kind("databricks", "databricks_token", _form("dapi{h32}")),
    Kind("openshift", "openshift_token", _form("sha256~{u43}")),
    Kind("hubspot", "hubspot_token", lambda d: f"pat-na1-{_uuid(d)}"),
    Kind("launchdarkly", "ld_sdk_key", lambda d: f"sdk-{_uuid(d)}"),
    Kind("onepassword", "op_service_account_token", _form("ops_eyJ{a250}")),
    Kind("facebook", "fb_access_token", _form("EAA{a160}")),
    Kind("jwt", "access_token", _jwt),
    Kind("age", "age_key", _form("AGE-SECRET-KEY-1{A58}")),
    Kind(
        "wireguard",
        "private_key",
        lambda d: _form("{b42}")(d) + d.choice("AEIMQUYcgkosw048") + "=",
        bare=True,
    ),
    Kind(
        "random-base64",
        "encryption_key",
        lambda d: base64.b64encode(d.randbytes(32)).decode(),
        bare=True,
    ),
    Kind("random-hex", "secret_key", _form("{h64}"), bare=True),
    Kind("random-alnum-24", "client_secret", _form("{a24}"), bare=True),
    Kind("random-hex-32", "api_key", _form("{h32}"), bare=True),
    Kind("uuid", "api_key", _uuid, bare=True),
    Kind("password-generated", "db_password", _password, bare=True),
    Kind("password-chosen", "password", _chosen, bare=True),
)

PRIVATE_KEYS: tuple[Kind, ...] = (
    Kind("pem-rsa", "key", _pem("RSA PRIVATE KEY", 12)),
    Kind("pem-pkcs8", "key", _pem("PRIVATE KEY", 12)),
    Kind("pem-ec", "key", _pem("EC PRIVATE KEY", 2)),
    Kind("pem-openssh", "key", _pem("OPENSSH PRIVATE KEY", 5)),
    Kind("pem-encrypted", "key", _pem("ENCRYPTED PRIVATE KEY", 12)),
    Kind(
        "pgp",
        "key",
        lambda d: _pem("PGP PRIVATE KEY BLOCK", 9)(d).replace(
            "BLOCK-----\n", "BLOCK-----\nVersion: GnuPG v2\n\n", 1
        ),
    ),
)
