import base64
import random
import string

import pytest

from lockgate.guards.secrets import SecretGuard

GUARD = SecretGuard()
DICE = random.Random(5)  # noqa: S311


def some(alphabet: str, size: int) -> str:
    return "".join(DICE.choices(alphabet, k=size))


TOKEN = some(string.ascii_letters + string.digits, 28) + "a1B2c3"
HEX = some("0123456789abcdef", 30) + "1f"
PASSWORD = "Kraken" + "#" + "2931x"
ENCODED = base64.b64encode(DICE.randbytes(32)).decode()


@pytest.mark.parametrize("secret", [TOKEN, HEX, ENCODED, PASSWORD])
@pytest.mark.parametrize(
    "text",
    [
        "DB_PASSWORD={}",
        "  db_password: {}\n  port: 1\n",
        '{{"db":{{"dbPassword":"{}"}}}}',
        '"{{\\"password\\": \\"{}\\"}}"',
        "config['db_password'] = '{}'",
        'password: Optional[str] = "{}"',
        "define('DB_PASSWORD', '{}');",
        "<dbPassword>{}</dbPassword>",
        "Server=db;User ID=sa;Password={};Encrypt=True;",
        "jdbc:mysql://db/app?user=app&password={}&ssl=true",
        "host=db user=app password={} dbname=app",
        '- name: DB_PASSWORD\n  value: "{}"\n',
        "docker run -e DB_PASSWORD={} image",
        "ENV DB_PASSWORD {}\n",
        "tool login --db-password {}",
        "+    db_password = '{}'",
        "2026-11-21T10:00:00Z DEBUG db_password={} retries=3",
        "machine git.acme.io login ci password {}\n",
        "CREATE USER app IDENTIFIED BY '{}';",
        "the password is {}",
    ],
)
def test_a_value_under_a_telling_name_is_found(text: str, secret: str) -> None:
    assert secret not in str(GUARD.sanitise(text.format(secret)).value)


@pytest.mark.parametrize(
    "text",
    [
        "password = get_password_v2(user)",
        "password: string",
        "token = tokens[0]",
        "token: null",
        "secret_key = settings.SECRET_KEY",
        "api_key: ${API_KEY_2}",
        "password: $DB_PASSWORD1",
        "token_type = 'bare-quoted-string'",
        "max_tokens: 4096",
        f"access_key_id = {HEX}",
        f"token_hash: {HEX}",
        "private_key: ed25519.Ed25519PrivateKey",
        "api_key_file: /etc/keys/app1.pem",
        "token: 2026-11-21T10:00:00Z",
        "secret_version: v1.22.333",
        "password_url = 'https://a.io/reset1'",
        "modules = {'grp', 'pwd', 'symlink_exception'}",
        f"gpg --recv-keys {HEX}",
        f"commit {HEX}",
        f"integrity: sha512-{ENCODED}",
        f"digest: sha256:{HEX}{HEX}",
        f"request_id={HEX}",
        f"etag: {HEX}",
        f"tokenizer = '{TOKEN}'",
        f"tool --commit {HEX}",
        f"- name: COMMIT\n  value: {HEX}",
        "mkdir -p Build2/Out1",
        "docker run -u 1000:1000 -p 8080:80 image",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert GUARD.sanitise(text).value == text


def test_what_knows_the_form_of_a_token_names_it() -> None:
    token = "gh" + "p_" + some(string.ascii_letters, 20) + "1a2b3c4d5e6f7g8h"

    clean = GUARD.sanitise(f'TOKEN={token}\ntoken = "{token}"').value

    assert clean == 'TOKEN=<secret:github-pat:1>\ntoken = "<secret:github-pat:1>"'


def test_a_value_of_any_length_takes_linear_time_and_a_huge_one_is_data() -> None:
    blob = some(string.ascii_letters + string.digits, 100_000)

    assert GUARD.sanitise(f'token = "{blob}"').redactions == ()
