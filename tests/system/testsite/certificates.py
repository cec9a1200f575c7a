"""Certificates of a test's own, by openssl(1)."""

import ssl
import subprocess
import warnings

EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """NAME.crt and NAME.key in `directory`, and what it issues beside them."""

    def __init__(self, directory, name):
        self.directory = directory
        self.certificate = directory / f"{name}.crt"
        self.key = directory / f"{name}.key"
        openssl("req", "-x509", *EC_KEY, "-subj", f"/CN={name}", "-days", "30",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, certificate, key, days=30):
        """A certificate for the host or client `name`, into those two files."""
        request = self.directory / "request.csr"
        extensions = self.directory / "extensions"
        openssl("req", *EC_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName = DNS:{name}\n")
        openssl("x509", "-req", "-in", request, "-days", str(days), "-CAcreateserial", "-CA", self.certificate,
                "-CAkey", self.key, "-extfile", extensions, "-out", certificate)


def client_context(certificate=None, verify=None, least=ssl.TLSVersion.TLSv1_2, most=None):
    """A client's. `certificate`: files (certificate, key). `verify`: a file of authorities; else any server will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify:
        context.load_verify_locations(verify)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = least
        if most:
            context.maximum_version = most
    if certificate:
        context.load_cert_chain(*certificate)
    return context
