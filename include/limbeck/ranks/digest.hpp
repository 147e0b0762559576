#ifndef LIMBECK_RANKS_DIGEST_HPP
#define LIMBECK_RANKS_DIGEST_HPP

/// @file
/// Many numbers as one, for ranks that compare what they ask.

#include <limbeck/core/random.hpp>

#include <cstdint>
#include <cstring>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Of numbers in their order; after a digest, of all that it stands for and these. Two lists with the same digest are the same but by a
/// chance of 2^-64.
template <class... Number>
std::uint64_t digest_of_numbers(const Number&... numbers) {
  std::uint64_t digest = 0;
  const auto add = [&](const auto& x) {
    static_assert(sizeof(x) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<std::remove_cvref_t<decltype(x)>>);
    std::uint64_t word = 0;
    std::memcpy(&word, &x, sizeof(x));
    digest = random_stream(digest ^ word)();
  };
  (add(numbers), ...);
  return digest;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
