// lmtpd/base/shared_memory.h -- memory of one type, which several processes map: a memfd.
//
// At first every octet is 0, which has to be a value of the type; its kName is what the memfd and
// errors are called. Whoever holds a descriptor can read, and write where that is open for writing,
// at any time: so the members are lock-free atomics. The size is sealed, and the seals are: no
// holder can cut the memory, at which the others would fault, or keep them from writing.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// What follows, for a size and a name that need not be a type's.
[[nodiscard]] Result<UniqueFd> make_shared_octets(const char* name, std::size_t size);
[[nodiscard]] Result<void*> map_shared_octets(const UniqueFd& memory, const char* name,
                                              std::size_t size, bool to_write);
void unmap_shared_octets(const void* octets, std::size_t size);

struct UnmapShared {
  template <class Shared>
  void operator()(Shared* memory) const {
    unmap_shared_octets(memory, sizeof(Shared));
  }
};
template <class Shared>
using SharedMemory = std::unique_ptr<Shared, UnmapShared>;

// Of its maker's user, who alone can open it anew. Fails with io.
template <class Shared>
[[nodiscard]] Result<UniqueFd> make_shared_memory() {
  return make_shared_octets(Shared::kName, sizeof(Shared));
}

// A const type is mapped for reading; for another `memory` has to be open for reading and writing.
// It is not needed afterwards. Fails with io, also where it is not sealed or has another size.
template <class Shared>
[[nodiscard]] Result<SharedMemory<Shared>> map_shared_memory(const UniqueFd& memory) {
  static_assert(std::is_standard_layout_v<Shared> && std::is_trivially_destructible_v<Shared>);
  Result<void*> mapped =
      map_shared_octets(memory, Shared::kName, sizeof(Shared), !std::is_const_v<Shared>);
  if (!mapped) return tl::unexpected(std::move(mapped.error()));
  return SharedMemory<Shared>(static_cast<Shared*>(*mapped));
}

}  // namespace lmtpd
