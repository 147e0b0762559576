#ifndef LIMBECK_SELECTION_QUERY_HPP
#define LIMBECK_SELECTION_QUERY_HPP

/// @file
/// What a selector is asked, and the pool that it reads.
///
/// A selector is a callable `std::vector<std::size_t> operator()(const Pool&, const query&) const`: rows of the pool in
/// order of choice. Ties go to the lowest row. A pool is a tensor, or anything that reads blocks of rows: selectors
/// hold O(pool) numbers and a few blocks, never a copy of the pool. What a selector of your own needs is as_reader(),
/// check_query() and for_each_row() (pool_rows.hpp). For pools on a device see backend/thrust/selection.hpp.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What a selector is asked.
struct query {
  std::size_t budget = 0;                   ///< how many rows to choose: at least 1, at most the rows not labelled
  std::span<const std::size_t> labelled{};  ///< rows of the pool that are labelled already: the seed set, never chosen
  any_vector labels{};                      ///< the class of each row, in the memory of the pool
  std::uint64_t seed = 0;                   ///< of every random choice
};

/// A pool larger than memory: `size()` rows of `columns()` numbers of the type `scalar`; `read(first, count, out)`
/// writes rows [first, first + count), one after the other, and may be called for any rows in any order.
///
/// Selectors read blocks, and rather read a few rows too many than call again. Where a row costs the same alone as in a
/// block, since it lies in memory, a reader says so by `static constexpr bool in_memory = true`, and rows are read
/// where they are wanted.
template <class P>
concept row_reader = requires(const P& p, std::size_t n, typename P::scalar* out) {
  { p.size() } -> std::convertible_to<std::size_t>;
  { p.columns() } -> std::convertible_to<std::size_t>;
  p.read(n, n, out);
};

/// A tensor of samples x columns, or a reader of blocks.
template <class P>
concept pool = tensor<P> || row_reader<P>;

/// What chooses rows of a pool: `s(pool, query)`, see selection/query.hpp.
template <class S, class Pool>
concept selector = requires(S& s, const Pool& p, const query& q) {
  { s(p, q) } -> std::convertible_to<std::vector<std::size_t>>;
};

namespace detail {

/// Whose memory a pool lies in; a reader's rows come to the host.
template <class P>
struct pool_memory {
  using type = host_rows;
};
template <tensor P>
struct pool_memory<P> {
  using type = typename tensor_traits<P>::sweep;
};
template <class P>
using pool_memory_t = typename pool_memory<P>::type;
template <class P>
inline constexpr bool read_by_host = std::is_same_v<pool_memory_t<P>, host_rows>;

/// The selectors over memory that the host does not read. A backend with such memory specialises it.
template <class Memory>
struct selection_in;

/// A pool in memory, as a reader.
template <class T>
struct memory_pool {
  using scalar = T;
  static constexpr bool in_memory = true;
  rows<const T> view;
  std::size_t size() const { return view.samples; }
  std::size_t columns() const { return view.classes; }
  void read(std::size_t first, std::size_t count, T* out) const {
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = 0; c < view.classes; ++c) *out++ = view(first + r, c);
  }
};

/// Whether a row costs the same alone as in a block.
template <class P>
concept in_memory = requires {
  requires static_cast<bool>(P::in_memory);
};

/// Row @p r, in place where it lies in memory and its numbers are contiguous, else read into @p buffer.
template <class T>
const T* row_of(const memory_pool<T>& p, std::size_t r, T* buffer) {
  if (p.view.class_stride == 1) return p.view.row(r);
  p.read(r, 1, buffer);
  return buffer;
}
template <class P>
const typename P::scalar* row_of(const P& p, std::size_t r, typename P::scalar* buffer) {
  p.read(r, 1, buffer);
  return buffer;
}

}  // namespace detail

/// Any pool that the host reads, as a reader: what a selector begins with, `const auto& reader = as_reader(pool);`. A tensor
/// becomes a view of it, a reader is handed on; either outlives the result.
template <class P>
decltype(auto) as_reader(const P& p) {
  static_assert(pool<P>,
                "limbeck: this pool is neither a tensor of floats (is its backend's header included?) nor a reader "
                "with size(), columns() and read(first, count, out)");
  if constexpr (tensor<P>) {
    using Traits = tensor_traits<P>;
    static_assert(detail::read_by_host<P>,
                  "limbeck: this selector reads its pool on the host; copy the pool there, or pass a reader (k_center, "
                  "pcoreset, by_highest, by_lowest and random_rows choose on a device, too)");
    return detail::memory_pool<typename Traits::scalar>{Traits::view(p)};
  } else {
    return (p);
  }
}

namespace detail {
/// Rows of a pool, wherever it lies.
template <class P>
std::size_t size_of_pool(const P& p) {
  if constexpr (read_by_host<P>) {
    return static_cast<std::size_t>(as_reader(p).size());
  } else {
    return tensor_traits<P>::view(p).samples;
  }
}
}  // namespace detail

namespace detail {
/// Whether @p q can be asked of a pool of @p total rows, and which of rows [first, first + count) are labelled. That a row is
/// labelled twice, is seen where it is.
inline std::vector<unsigned char> check_query_of(const query& q, std::size_t total, std::size_t first, std::size_t count) {
  if (total == 0) raise<shape_error>("limbeck: the pool is empty");
  if (q.budget == 0) raise<value_error>("limbeck: budget is 0, expected at least 1");
  if (!q.labels.empty() && q.labels.size() != count) throw_length("labels", q.labels.size(), count);
  std::vector<unsigned char> taken(count, 0);
  for (std::size_t i = 0; i < q.labelled.size(); ++i) {
    const std::size_t r = q.labelled[i];
    const auto where = [&] { return "limbeck: labelled is " + std::to_string(r) + " at position " + std::to_string(i); };
    if (r >= total) raise<value_error>(where() + ", expected a row of the pool, 0 to " + std::to_string(total - 1));
    if (r < first || r - first >= count) continue;
    if (taken[r - first]) raise<value_error>(where() + ", a row that it has named before");
    taken[r - first] = 1;
  }
  if (q.labelled.size() > total || q.budget > total - q.labelled.size())
    raise<value_error>("limbeck: budget is " + std::to_string(q.budget) + ", but only " +
                       std::to_string(total - (std::min)(total, q.labelled.size())) + " rows of the pool are not labelled");
  return taken;
}
}  // namespace detail

/// Whether @p q can be asked of a pool of so many rows, and which of these are labelled: not 0 where a row is, and so
/// must not be chosen. O(rows).
/// @throws shape_error where the pool is empty or the labels are not one a row, value_error where the budget is 0 or
/// more than the rows that are not labelled, or a labelled row is not of the pool or comes twice.
inline std::vector<unsigned char> check_query(const query& q, std::size_t rows_of_pool) {
  return detail::check_query_of(q, rows_of_pool, 0, rows_of_pool);
}

namespace detail {
template <class S, class Pool>
constexpr void require_selector() {
  static_assert(selector<S, Pool>,
                "limbeck: this selector has no call (pool, query) that returns a std::vector<std::size_t> of rows");
}
}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
