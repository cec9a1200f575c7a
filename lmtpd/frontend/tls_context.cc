#include "lmtpd/frontend/tls_context.h"

#include <fmt/format.h>

#include <ctime>
#include <string_view>
#include <utility>

#include "lmtpd/frontend/tls_pem.h"
#include "lmtpd/frontend/tls_validity.h"
#include "lmtpd/frontend/tls_words.h"

namespace lmtpd::frontend {
namespace {

tl::unexpected<Error> failure(std::string_view parameter, std::string_view what) {
  return fail(Reason::io, fmt::format("{}: {}", parameter, what));
}

int version_number(TlsVersion version) {
  return version == TlsVersion::tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

// A client whose certificate nobody here knows is served like one without, unless one is needed.
int accept_any(int, X509_STORE_CTX*) { return 1; }

Result<void> use(SSL_CTX* context, std::string_view parameter, const KeyAndChain& pair) {
  if (X509_check_private_key(pair.chain[0].get(), pair.key.get()) != 1) {
    return failure(parameter, "the private key is not the certificate's: " + openssl_words());
  }
  const CertificateStack rest(sk_X509_new_null());
  for (std::size_t i = 1; i < pair.chain.size(); ++i) sk_X509_push(rest.get(), pair.chain[i].get());
  if (SSL_CTX_use_cert_and_key(context, pair.chain[0].get(), pair.key.get(), rest.get(), 1) != 1) {
    return failure(parameter, openssl_words());
  }
  return {};
}

void look_at_dates(std::vector<std::string>& warnings, std::string_view parameter,
                   std::string_view path, const std::vector<CertificatePtr>& certificates) {
  for (const CertificatePtr& certificate : certificates) {
    const std::optional<std::string> warning =
        validity_warning(certificate.get(), std::time(nullptr));
    if (warning) warnings.push_back(fmt::format("{}: {}: {}", parameter, path, *warning));
  }
}

Result<void> load_pair(SSL_CTX* context, const Settings& settings,
                       const TlsContext::ReadFile& read_file, std::vector<std::string>& warnings) {
  const auto certificate = read_file(settings.tls_cert_file);
  if (!certificate) return failure("tls_cert_file", certificate.error().text);
  const auto key = read_file(settings.tls_key_file);
  if (!key) return failure("tls_key_file", key.error().text);
  auto chain = certificates_of(*certificate);
  if (!chain) return failure("tls_cert_file", settings.tls_cert_file + ": " + chain.error().text);
  auto private_key = key_of(*key);
  if (!private_key) {
    return failure("tls_key_file", settings.tls_key_file + ": " + private_key.error().text);
  }
  look_at_dates(warnings, "tls_cert_file", settings.tls_cert_file, *chain);
  return use(context, "tls_cert_file", {std::move(*private_key), std::move(*chain)});
}

Result<void> load_chains(SSL_CTX* context, const Settings& settings,
                         const TlsContext::ReadFile& read_file,
                         std::vector<std::string>& warnings) {
  for (const std::string& path : settings.tls_chain_files) {
    const auto text = read_file(path);
    if (!text) return failure("tls_chain_files", text.error().text);
    const auto pairs = keys_and_chains_of(*text);
    if (!pairs) return failure("tls_chain_files", path + ": " + pairs.error().text);
    for (const KeyAndChain& pair : *pairs) {
      if (auto used = use(context, "tls_chain_files", pair); !used) return used;
      look_at_dates(warnings, "tls_chain_files", path, pair.chain);
    }
  }
  return {};
}

Result<void> load_authorities(SSL_CTX* context, const Settings& settings,
                              const TlsContext::ReadFile& read_file,
                              std::vector<std::string>& warnings) {
  const auto text = read_file(settings.tls_client_ca);
  if (!text) return failure("tls_client_ca", text.error().text);
  const auto authorities = certificates_of(*text);
  if (!authorities) {
    return failure("tls_client_ca", settings.tls_client_ca + ": " + authorities.error().text);
  }
  look_at_dates(warnings, "tls_client_ca", settings.tls_client_ca, *authorities);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  // An authority that another one signed is trusted by itself.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  for (const CertificatePtr& authority : *authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return failure("tls_client_ca", openssl_words());
    }
  }
  if (settings.tls_req_ccert) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  } else {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
  }
  return {};
}

}  // namespace

TlsContext::TlsContext() : context_(SSL_CTX_new(TLS_server_method())) {}

Result<TlsContext> TlsContext::make(const Settings& settings, const ReadFile& read_file) {
  TlsContext made;
  SSL_CTX* context = made.context_.get();
  if (context == nullptr) return failure("TLS", openssl_words());
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle session holds no buffers.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  // Without it a ticket of a session with a client certificate cannot be taken.
  constexpr std::string_view kSessionContext = "lmtpd";
  SSL_CTX_set_session_id_context(context,
                                 reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 static_cast<unsigned>(kSessionContext.size()));

  const TlsVersions& versions = settings.tls_protocols;
  if (SSL_CTX_set_min_proto_version(context, version_number(versions.least)) != 1 ||
      SSL_CTX_set_max_proto_version(context, version_number(versions.most)) != 1) {
    return failure("tls_protocols", openssl_words());
  }
  if (!settings.tls_cipherlist.empty() &&
      SSL_CTX_set_cipher_list(context, settings.tls_cipherlist.c_str()) != 1) {
    return failure("tls_cipherlist", openssl_words());
  }
  const auto load = settings.tls_chain_files.empty() ? load_pair : load_chains;
  if (Result<void> loaded = load(context, settings, read_file, made.warnings_); !loaded) {
    return tl::unexpected(loaded.error());
  }
  if (!settings.tls_client_ca.empty()) {
    made.asks_for_certificates_ = true;
    if (Result<void> loaded = load_authorities(context, settings, read_file, made.warnings_);
        !loaded) {
      return tl::unexpected(loaded.error());
    }
  }
  return made;
}

}  // namespace lmtpd::frontend
