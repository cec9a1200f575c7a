// lookup/fold.h -- the case of lookup keys, as Postfix folds them before it asks a table.
#pragma once

#include <string>
#include <string_view>

namespace lmtpd::lookup {

// `text`, valid UTF-8, in full case folding (Unicode's CaseFolding.txt, C + F): "Straße" is
// "strasse".
[[nodiscard]] std::string fold(std::string_view text);

}  // namespace lmtpd::lookup
