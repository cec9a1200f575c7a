// lookup/texthash_table.h -- texthash:FILE, and the source files of hash:, btree:, lmdb:, cdb:.
//
// postmap(1)'s format, one `key white-space value` a logical line; the key may hold white space
// within double quotes and keeps them. The first of several equal keys stays. Lines that are no
// entry, are no UTF-8, or give a key again are passed over with a warning that names file and line.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lookup/configured_table.h"

namespace lmtpd::lookup {

[[nodiscard]] std::unique_ptr<ConfiguredTable> make_texthash_table(std::string name,
                                                                   std::string_view path,
                                                                   std::string_view text);

}  // namespace lmtpd::lookup
