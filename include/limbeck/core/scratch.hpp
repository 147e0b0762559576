#ifndef LIMBECK_CORE_SCRATCH_HPP
#define LIMBECK_CORE_SCRATCH_HPP

/// @file
/// Scratch: many arrays from one workspace, taken in order and given back together.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/workspace.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Takes arrays out of a workspace; all of them end with the scratch. What the workspace cannot hold yet stands in
/// memory of its own, and the workspace has grown by the next time: a call that has run before allocates nothing.
///
/// @p Workspace is whose memory it is; what it cannot hold yet stands in an @p Overflow for each array.
template <class Workspace, class Overflow = Workspace>
class scratch_of {
 public:
  /// @p memory serves nothing else while this lives.
  explicit scratch_of(Workspace& memory) : memory_(memory), base_(memory.reserve(0)), room_(memory.size()) {}
  scratch_of(const scratch_of&) = delete;
  scratch_of& operator=(const scratch_of&) = delete;
  ~scratch_of() {
    if (used_ <= room_) return;
    // Where there is no more, the next call takes memory of its own again.
    detail::or_else([&] { memory_.reserve(used_); }, [] {});
  }
  /// Whose memory it is.
  Workspace& source() const { return memory_; }
  /// @p count numbers, aligned to a cache line; the content is unspecified.
  template <class T>
  std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>, "limbeck: scratch holds plain numbers");
    const std::size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    const std::size_t at = used_;
    used_ += bytes;
    if (used_ <= room_) return {reinterpret_cast<T*>(base_ + at), count};
    overflow_.emplace_back();
    return {reinterpret_cast<T*>(overflow_.back().reserve(bytes)), count};
  }

 private:
  Workspace& memory_;
  std::byte* base_;
  std::size_t room_, used_ = 0;
  std::vector<Overflow> overflow_;
};
/// That of the host.
using scratch = scratch_of<workspace>;

LIMBECK_END_NAMESPACE

#endif
