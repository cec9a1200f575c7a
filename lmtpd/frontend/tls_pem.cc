#include "lmtpd/frontend/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string_view>
#include <utility>
#include <variant>

#include "lmtpd/frontend/tls_words.h"

namespace lmtpd::frontend {
namespace {

using Block = std::variant<CertificatePtr, KeyPtr>;

struct OpensslFree {
  void operator()(void* memory) const { OPENSSL_free(memory); }
};

tl::unexpected<Error> failure(std::string_view what) { return fail(Reason::io, std::string(what)); }

Result<void> append_block(std::vector<Block>& blocks, std::string_view kind,
                          std::string_view header, const unsigned char* octets, long length) {
  if (kind == "CERTIFICATE" || kind == "X509 CERTIFICATE") {
    CertificatePtr certificate(d2i_X509(nullptr, &octets, length));
    if (!certificate) return failure("a certificate is broken: " + openssl_words());
    blocks.emplace_back(std::move(certificate));
  } else if (kind.ends_with("PRIVATE KEY")) {
    if (kind.starts_with("ENCRYPTED") || header.find("ENCRYPTED") != std::string_view::npos) {
      return failure("the private key has a passphrase");
    }
    KeyPtr key(d2i_AutoPrivateKey(nullptr, &octets, length));
    if (!key) return failure("a private key is broken: " + openssl_words());
    blocks.emplace_back(std::move(key));
  }
  return {};
}

Result<std::vector<Block>> blocks_of(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Block> blocks;
  while (true) {
    char* kind = nullptr;
    char* header = nullptr;
    unsigned char* octets = nullptr;
    long length = 0;
    if (PEM_read_bio(bio.get(), &kind, &header, &octets, &length) != 1) break;
    const std::unique_ptr<void, OpensslFree> owned[] = {std::unique_ptr<void, OpensslFree>(kind),
                                                        std::unique_ptr<void, OpensslFree>(header),
                                                        std::unique_ptr<void, OpensslFree>(octets)};
    if (auto appended = append_block(blocks, kind, header, octets, length); !appended) {
      return tl::unexpected(appended.error());
    }
  }
  // The end of the text is an error, too.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string words = openssl_words();
  if (!at_end) return failure("it is broken: " + words);
  return blocks;
}

}  // namespace

Result<std::vector<CertificatePtr>> certificates_of(const std::string& pem) {
  auto blocks = blocks_of(pem);
  if (!blocks) return tl::unexpected(blocks.error());
  std::vector<CertificatePtr> certificates;
  for (Block& block : *blocks) {
    if (auto* certificate = std::get_if<CertificatePtr>(&block)) {
      certificates.push_back(std::move(*certificate));
    }
  }
  if (certificates.empty()) return failure("it holds no certificate");
  return certificates;
}

Result<KeyPtr> key_of(const std::string& pem) {
  auto blocks = blocks_of(pem);
  if (!blocks) return tl::unexpected(blocks.error());
  KeyPtr found;
  for (Block& block : *blocks) {
    auto* key = std::get_if<KeyPtr>(&block);
    if (key == nullptr) continue;
    if (found) return failure("it holds several private keys; name it in tls_chain_files");
    found = std::move(*key);
  }
  if (!found) return failure("it holds no private key");
  return found;
}

Result<std::vector<KeyAndChain>> keys_and_chains_of(const std::string& pem) {
  auto blocks = blocks_of(pem);
  if (!blocks) return tl::unexpected(blocks.error());
  std::vector<KeyAndChain> pairs;
  const auto complete = [&] { return pairs.empty() || !pairs.back().chain.empty(); };
  for (Block& block : *blocks) {
    if (auto* key = std::get_if<KeyPtr>(&block)) {
      if (!complete()) return failure("no certificate follows a private key");
      pairs.emplace_back().key = std::move(*key);
    } else if (pairs.empty()) {
      return failure("a private key has to come before its certificate");
    } else {
      pairs.back().chain.push_back(std::move(std::get<CertificatePtr>(block)));
    }
  }
  if (pairs.empty()) return failure("it holds no private key");
  if (!complete()) return failure("no certificate follows a private key");
  return pairs;
}

}  // namespace lmtpd::frontend
