"""Authentication, authorisation and cryptography: where a small change breaks much."""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Rule, line_rule, lines, removals

_PATH = "src/app.py"
_SENSITIVE = re.compile(
    r"(?i)(?:^|[/_.-])(?:auth|authn|authz|authentication|authorization|authorisation|login|logout"
    r"|oauth2?|oidc|saml|sso|jwt|session|sessions|password|passwords|crypto|cryptography|crypt"
    r"|encryption|signing|permissions|rbac|acl|csrf|tls|keystore)(?:[/_.-]|$)"
)
_TOUCHED = Rule(
    id="auth.changed",
    severity=Severity.MEDIUM,
    message="Code of authentication, authorisation or cryptography changed.",
    help="Have someone who knows this code review it, with the tests for refusal.",
    positives=lines("src/auth/session.py", "limit = 5"),
    negatives=(*lines("tests/auth/test_a.py", "x"), *lines("src/author.py", "x = 1")),
)
_GUARD_REMOVED = Rule(
    id="auth.check-removed",
    severity=Severity.HIGH,
    message="A check of who may do this was removed.",
    help="Say what checks it now. If nothing does, put the check back.",
    pattern=r"@(?:login_required|permission_required|requires_auth|jwt_required|user_passes_test"
    r"|PreAuthorize|Secured|RolesAllowed|UseGuards|authenticate|require_permissions?)\b"
    r"|\bbefore_action\s+:(?:authenticate|authorize|require)\w*"
    r"|\b(?:requireAuth|ensureAuthenticated|isAuthenticated|requireLogin|requireRole|authorize!)\b"
    r"|\bDepends\((?:get_)?(?:current_user|auth\w*)\)|\[Authorize\b",
    positives=removals(_PATH, "@login_required", "before_action :authenticate_user!"),
    negatives=removals(_PATH, "login(user)", "authors = []"),
)
_ADDED = (
    line_rule(
        "crypto.weak-hash",
        Severity.MEDIUM,
        r"(?i)\b(?:hashlib\.(?:md5|sha1)|createHash\s*\(\s*[\"'](?:md5|sha1)[\"']"
        r"|(?:md5|sha1)\.(?:New|Sum)\b|getInstance\s*\(\s*\"(?:MD5|SHA-?1)\""
        r"|Digest::(?:MD5|SHA1)\b|MessageDigest\.MD5|MD5_Init|SHA1_Init|hashes\.(?:MD5|SHA1)\s*\()"
        r"|(?:^|[^\w>:$.])(?:md5|sha1)\s*\(\s*\$",
        said=(
            "MD5 or SHA-1 is used; collisions of both can be made.",
            "Use SHA-256 or BLAKE2; for passwords Argon2, scrypt or bcrypt.",
        ),
        path=_PATH,
        examples=(
            ("hashlib.md5(data)", "crypto.createHash('sha1')", "$h = md5($password);"),
            ("hashlib.sha256(data)", "md5_of_file = path", "hashlib.blake2b(x)"),
        ),
    ),
    line_rule(
        "crypto.weak-cipher",
        Severity.HIGH,
        r"(?i)\b(?:(?:AES|DES3?|ARC4|Blowfish)\.(?:MODE_ECB|new\([^)]*MODE_ECB)|modes\.ECB\b"
        r"|Cipher\.getInstance\s*\(\s*\"(?:DES|DESede|RC4|AES/ECB)"
        r"|createCipher(?:iv)?\s*\(\s*[\"'](?:des|rc4|aes-\d+-ecb)|ARC4\.new|DES\.new"
        r"|(?:des|rc4)\.NewCipher|algorithms\.(?:ARC4|TripleDES|Blowfish)\b)",
        said=(
            "A cipher or a mode is used that does not hide the text: DES, RC4 or ECB.",
            "Use AES-GCM or ChaCha20-Poly1305.",
        ),
        path=_PATH,
        examples=(
            ("AES.new(key, AES.MODE_ECB)", 'Cipher.getInstance("DES")'),
            ("AES.new(key, AES.MODE_GCM)", "description = text"),
        ),
    ),
    line_rule(
        "crypto.weak-protocol",
        Severity.HIGH,
        r"\bPROTOCOL_(?:SSLv2|SSLv3|TLSv1|TLSv1_1)\b|\bTLSVersion\.(?:SSLv3|TLSv1|TLSv1_1)\b"
        r"|\btls\.VersionTLS1[01]\b|\bVersionSSL30\b|\b[\"'](?:TLSv1|TLSv1\.1|SSLv3)[\"']"
        r"|\bssl_protocols\b.*\b(?:TLSv1|TLSv1\.1|SSLv3)(?:\s|;)",
        said=("An old version of TLS is allowed.", "Allow TLS 1.2 and later."),
        path=_PATH,
        examples=(
            ("ssl.PROTOCOL_TLSv1", "MinVersion: tls.VersionTLS10"),
            ("ssl.TLSVersion.TLSv1_2", "tls.VersionTLS13"),
        ),
    ),
    line_rule(
        "crypto.weak-random",
        Severity.MEDIUM,
        r"(?i)(?:token|secret|password|nonce|salt|session|otp|api_?key)\w*\s*[:=].*"
        r"\b(?:random\.(?:random|randint|choices?|randrange)|Math\.random|rand\.Intn?|mt_rand"
        r"|new Random)\s*\(",
        said=(
            "A secret is made from numbers that can be guessed.",
            "Use `secrets`, `crypto.randomBytes` or `crypto/rand`.",
        ),
        path=_PATH,
        examples=(
            ("token = random.choice(letters)", "const sessionId = Math.random().toString(36)"),
            ("token = secrets.token_hex()", "delay = random.random()"),
        ),
    ),
    line_rule(
        "auth.token-not-verified",
        Severity.HIGH,
        r"\bverify_signature[\"']?\s*[:=]\s*False|\balgorithms?[\"']?\s*[:=]\s*\[?\s*[\"']none[\"']"
        r"|\bjwt\.decode\s*\([^)]*verify\s*=\s*False|\bParseUnverified\s*\(",
        said=(
            "A token is read without checking its signature.",
            "Check the signature, with a fixed list of algorithms.",
        ),
        path=_PATH,
        examples=(
            ('jwt.decode(t, options={"verify_signature": False})', "algorithms: ['none']"),
            ('jwt.decode(t, key, algorithms=["RS256"])',),
        ),
    ),
    line_rule(
        "auth.open-endpoint",
        Severity.HIGH,
        r"@csrf_exempt\b|\bAllowAny\b|\.permitAll\s*\(|\bcsrf\(\)\.disable\(\)|@AllowAnonymous\b"
        r"|\[AllowAnonymous\]|\bskip_before_action\s+:(?:authenticate|authorize|verify)\w*"
        r"|\.csrf\(\s*\w+\s*->\s*\w+\.disable\(\)|@Public\(\)",
        said=(
            "A request gets in without the check that the others need.",
            "Say in the code why this one may be open.",
        ),
        path=_PATH,
        examples=(
            ("@csrf_exempt", "permission_classes = [AllowAny]", "http.csrf().disable()"),
            ("@login_required", "permission_classes = [IsAuthenticated]"),
        ),
    ),
    line_rule(
        "auth.open-cors",
        Severity.MEDIUM,
        r"(?i)Access-Control-Allow-Origin[\"']?\s*[,:=]\s*[\"']?\*|\bCORS_(?:ORIGIN_)?ALLOW_ALL\w*"
        r"\s*=\s*True|\ballow_origins\s*=\s*\[\s*[\"']\*|\bAllowAllOrigins\b.*true",
        said=("Any web site may call this.", "List the origins that may."),
        path=_PATH,
        examples=(
            ('allow_origins=["*"]', "res.header('Access-Control-Allow-Origin', '*')"),
            ('allow_origins=["https://app.example"]',),
        ),
    ),
    line_rule(
        "auth.insecure-cookie",
        Severity.MEDIUM,
        r"(?i)\b(?:SESSION|CSRF)_COOKIE_(?:SECURE|HTTPONLY)\s*=\s*False|\bhttpOnly\s*[:=]\s*false\b"
        r"|\bsecure\s*:\s*false\b|\bset_cookie\s*\(.*(?:secure|httponly)\s*=\s*False",
        said=(
            "A cookie can be read by scripts or travels unencrypted.",
            "Set `Secure` and `HttpOnly`.",
        ),
        path=_PATH,
        examples=(("SESSION_COOKIE_SECURE = False",), ("SESSION_COOKIE_SECURE = True",)),
    ),
)


class Authentication:
    """Finds weak cryptography, opened doors and removed guards in code."""

    rules = (_TOUCHED, _GUARD_REMOVED, *_ADDED)

    def __init__(self) -> None:
        self._added = Matcher(_ADDED, comments=("#", "//", "*", "/*"))
        self._removed = Matcher((_GUARD_REMOVED,), comments=("#", "//", "*", "/*"))

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if languages.language(file.path) is None or languages.is_generated(file.path):
                continue
            if languages.is_test(file.path):
                continue
            if _SENSITIVE.search(file.path) and (file.added or file.removed):
                yield _TOUCHED.at(file)
            for rule, line in self._added.find(file.added):
                yield rule.at(file, line)
            if file.status != "deleted":
                for rule, line in self._removed.find(file.gone):
                    yield rule.at(file, line)
