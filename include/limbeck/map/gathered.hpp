#ifndef LIMBECK_MAP_GATHERED_HPP
#define LIMBECK_MAP_GATHERED_HPP

/// @file
/// Rows of a batch by their numbers, and differences along the edges of a graph.

#include <limbeck/map/map.hpp>

#include <cstdint>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Numbers of rows, with what the way back needs: for each row, where it stands in the list. Made once for many calls, and
/// anew by `assign`; what is made of it refers to it. @p Memory is that of the rows which it picks.
template <class Memory = host_rows>
class row_list {
  using place = batch_memory<Memory>;
  using storage = typename place::template storage<std::size_t>;

 public:
  /// Of no row.
  row_list() = default;
  /// @p numbers: a range of integers on the host. @throws value_error where one is negative. O(length + largest number).
  template <class R>
  explicit row_list(const R& numbers) {
    assign(numbers);
  }
  /// Other numbers.
  template <class R>
  void assign(const R& numbers) {
    std::vector<std::size_t> all;
    std::size_t most = 0;
    for (const auto number : numbers) {
      if (static_cast<std::int64_t>(number) < 0)
        raise<value_error>("limbeck: row_list is " + std::to_string(number) + " at row " + std::to_string(all.size()) +
                           ", expected at least 0");
      all.push_back(static_cast<std::size_t>(number));
      most = (std::max)(most, all.back() + 1);
    }
    std::vector<std::size_t> starts(most + 1, 0), order(all.size());
    for (const std::size_t i : all) ++starts[i + 1];
    for (std::size_t i = 0; i < most; ++i) starts[i + 1] += starts[i];
    std::vector<std::size_t> next = starts;
    for (std::size_t k = 0; k < all.size(); ++k) order[next[all[k]]++] = k;
    numbers_ = storage(all.begin(), all.end());
    starts_ = storage(starts.begin(), starts.end());
    order_ = storage(order.begin(), order.end());
    rows_ = most;
  }

  std::size_t size() const { return numbers_.size(); }  ///< length of the list
  std::size_t rows_needed() const { return rows_; }     ///< the largest number + 1
  /// Number k stands at `numbers()[k]`.
  const std::size_t* numbers() const { return place::address(numbers_); }
  /// Row i is at places `order()[starts()[i]]` to `order()[starts()[i + 1] - 1]`, which rise.
  const std::size_t* starts() const { return place::address(starts_); }
  const std::size_t* order() const { return place::address(order_); }  ///< see `starts`

 private:
  storage numbers_, starts_, order_;
  std::size_t rows_ = 0;
};

namespace detail {

template <class T>
struct gather_rows {
  rows<const T> x;
  rows<T> y;
  const std::size_t *from, *less;  // less: null, or what is taken off
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t k) const {
    const T* const a = x.row(from[k]);
    const T* const b = less ? x.row(less[k]) : nullptr;
    T* const to = y.row(k);
    for_own<T>(team, y.classes, [&](std::size_t c) { to[c] = b ? a[c] - b[c] : a[c]; });
  }
};
/// Each row adds what stands at its places, in their order, so that no two write to one.
template <class T>
struct scatter_rows {
  rows<const T> slope;
  rows<T> x_gradient;
  const std::size_t *starts, *order;
  T sign;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    T* const to = x_gradient.row(i);
    for (std::size_t k = starts[i]; k < starts[i + 1]; ++k) {
      const T* const from = slope.row(order[k]);
      for_own<T>(team, slope.classes, [&](std::size_t c) { to[c] += sign * from[c]; });
    }
  }
};
template <class T, class Memory>
void scatter(const row_list<Memory>& list, const rows<T>& slope, const rows<T>& x_gradient, const batch<T, Memory>& in, T sign) {
  if (x_gradient.data)
    in.each_row(list.rows_needed(), slope.classes, scatter_rows<T>{slope, x_gradient, list.starts(), list.order(), sign});
}
template <class Memory>
void require_rows(const char* map, const row_list<Memory>& list, std::size_t samples) {
  if (list.rows_needed() > samples)
    raise<shape_error>(std::string("limbeck: ") + map + " takes row " + std::to_string(list.rows_needed() - 1) + " of a batch of " +
                       std::to_string(samples));
}
template <class T, class Memory>
void require_all_rows(const char* map, const batch<T, Memory>& in) {
  if (!in.call_rows.empty())
    raise<value_error>(std::string("limbeck: ") + map +
                       " numbers the rows of the call, of which some do not count; leave out labels to ignore, masks and weights of "
                       "0, or leave these rows out of the list");
}

}  // namespace detail

/// What `gathered` returns.
template <class Memory>
struct gathered_map {
  using limbeck_map = map_of_batch;
  using memory = Memory;         ///< of the list
  const row_list<Memory>* list;  ///< the caller's

  /// As many rows as the list is long. @throws shape_error where a number is none of a row.
  map_shape shape(map_shape in) const {
    detail::require_rows("gathered", *list, in.samples);
    return {list->size(), in.columns};
  }
  template <class T>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    detail::require_all_rows("gathered", in);
    in.each_row(y.samples, y.classes, detail::gather_rows<T>{x, y, list->numbers(), nullptr});
  }
  template <class T>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>&) const {
    detail::scatter(*list, slope, x_gradient, in, T(1));
  }
};
/// y_k = x_i for each number i of @p list: rows again, left out or several times. A row adds up the gradients of all its
/// places in their order, whoever computes them. A map of a batch, in which every row has to count. O(length x columns).
/// @throws value_error in a call some of whose rows do not count.
template <class Memory>
gathered_map<Memory> gathered(const row_list<Memory>& list) {
  return {&list};
}

/// What `pair_differences` returns.
template <class Memory>
struct pair_differences_map {
  using limbeck_map = map_of_batch;
  using memory = Memory;             ///< of the lists
  const row_list<Memory>* from;  ///< the caller's
  const row_list<Memory>* to;    ///< the caller's

  /// A row for each pair. @throws shape_error where a number is none of a row, or the lists differ in length.
  map_shape shape(map_shape in) const {
    if (from->size() != to->size()) detail::throw_length("the second list of pair_differences", to->size(), from->size(), "as the first");
    detail::require_rows("pair_differences", *from, in.samples);
    detail::require_rows("pair_differences", *to, in.samples);
    return {from->size(), in.columns};
  }
  template <class T>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    detail::require_all_rows("pair_differences", in);
    in.each_row(y.samples, y.classes, detail::gather_rows<T>{x, y, from->numbers(), to->numbers()});
  }
  template <class T>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>&) const {
    detail::scatter(*from, slope, x_gradient, in, T(1));
    detail::scatter(*to, slope, x_gradient, in, T(-1));
  }
};
/// y_e = x_i - x_j for each edge e = (i, j), i of @p from and j of @p to. `then(pair_differences(from, to), absolute{})` for
/// |x_i - x_j|. A map of a batch, in which every row has to count; the order of all sums is that of the lists. O(edges x columns).
/// @throws value_error in a call some of whose rows do not count.
///
/// High frequencies of a graph: Wu, Lin, Huang, Fan, Li, *Extracting Low-/High-Frequency Knowledge from Graph Neural Networks
/// and Injecting it into MLPs*, AAAI 2023, arXiv:2305.10758.
template <class Memory>
pair_differences_map<Memory> pair_differences(const row_list<Memory>& from, const row_list<Memory>& to) {
  return {&from, &to};
}
/// @cond
template <class Memory>
gathered_map<Memory> gathered(const row_list<Memory>&&) = delete;
template <class Memory>
pair_differences_map<Memory> pair_differences(const row_list<Memory>&&, const row_list<Memory>&) = delete;
template <class Memory>
pair_differences_map<Memory> pair_differences(const row_list<Memory>&, const row_list<Memory>&&) = delete;
template <class Memory>
pair_differences_map<Memory> pair_differences(const row_list<Memory>&&, const row_list<Memory>&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
