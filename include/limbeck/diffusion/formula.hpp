#ifndef LIMBECK_DIFFUSION_FORMULA_HPP
#define LIMBECK_DIFFUSION_FORMULA_HPP

/// @file
/// Formulas of rows: targets whose row is an expression of the same element of several tensors, with numbers of the row. All
/// of diffusion is written so: noised samples, conversions of predictions, steps of samplers, the gradients of distribution
/// matching. A formula of formulas is one expression, evaluated in one pass, in packs on the host, by the threads of a team
/// on a device; nothing is stored between.
///
/// A formula is a target (engine/target.hpp) that has `open(row, memory)` besides `fill`: what it gives back, its reader, says
/// by `read(here)` what stands `here`, a place in the row. `here` reads pointers and other readers: `here(x)`.

#include <limbeck/engine/host_memory.hpp>
#include <limbeck/target/fill.hpp>
#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// A pack of neighbouring elements, where a row is one thread's. Memory is asked for what stands further on.
template <class Lanes>
struct here_in_packs {
  using number = pack<Lanes>;
  using scalar = typename Lanes::scalar;
  std::size_t at, count;
  LIMBECK_INLINE number operator()(const scalar* row) const {
    ask_memory(row + at + elements_ahead);
    return load_pack<Lanes>(row + at, count, scalar(0));
  }
  template <class Reader>
  LIMBECK_INLINE auto operator()(const Reader& r) const -> decltype(r.read(*this)) {
    return r.read(*this);
  }
};
/// One element, where a row is shared.
template <class T>
struct here_alone {
  using number = pack<scalar_lanes<T>>;
  using scalar = T;
  std::size_t at;
  LIMBECK_INLINE number operator()(const T* row) const { return number(row[at]); }
  template <class Reader>
  LIMBECK_INLINE auto operator()(const Reader& r) const -> decltype(r.read(*this)) {
    return r.read(*this);
  }
};

/// out[i] = f(here) for the elements first + i of a row, i < count.
template <class T, class F>
LIMBECK_INLINE void write_part(T* out, std::size_t first, std::size_t count, const F& f) {
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using Lanes = host_lanes<T, Isa>;
    const F mine = f;  // what is stored could change another's numbers
    T* const to = out;
    const std::size_t from = first;
    for_packs<Lanes>(count, [&](std::size_t at, std::size_t n) LIMBECK_LAMBDA_INLINE {
      store_pack<Lanes>(to + at, n, mine(here_in_packs<Lanes>{from + at, n}));
    });
  });
}
/// out[i] = f(here) for all i of a row of @p n.
template <class Team, class T, class F>
LIMBECK_INLINE void write_formula(const Team& team, T* out, std::size_t n, const F& f) {
  if constexpr (in_packs<Team>) {
    write_part(out, 0, n, f);
  } else {
    for_own<T>(team, n, [&](std::size_t i) { out[i] = f(here_alone<T>{i}).v; });
  }
}
/// The sum of f(here) over a row: packs of 1,024 elements each, then in double.
template <class T, class Team, class F>
LIMBECK_INLINE double sum_formula(const Team& team, std::size_t n, const F& f) {
  if constexpr (in_packs<Team>) {
    double total = 0;
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      using Lanes = host_lanes<T, Isa>;
      using X = pack<Lanes>;
      constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
      std::size_t at = 0;
      while (at + lanes <= n) {
        const std::size_t end = n - at < 1024 ? n : at + 1024;
        X some[4] = {X(T(0)), X(T(0)), X(T(0)), X(T(0))};  // each waits for its own last sum only
        for (; at + 4 * lanes <= end; at += 4 * lanes)
          for (std::size_t k = 0; k < 4; ++k) some[k] += f(here_in_packs<Lanes>{at + k * lanes, lanes});
        for (; at + lanes <= end; at += lanes) some[0] += f(here_in_packs<Lanes>{at, lanes});
        total += static_cast<double>(Lanes::sum(((some[0] + some[1]) + (some[2] + some[3])).v));
      }
      if (at < n) {  // what f makes of the padding is left out
        T last[lanes];
        Lanes::store(last, f(here_in_packs<Lanes>{at, n - at}).v);
        for (std::size_t i = 0; i < n - at; ++i) total += static_cast<double>(last[i]);
      }
    });
    return total;
  } else {
    return sum_own<T, double>(team, n, [&](std::size_t i) { return static_cast<double>(f(here_alone<T>{i}).v); });
  }
}

/// Whether a target is a formula.
template <class S>
inline constexpr bool is_formula = requires { typename S::limbeck_formula; };

/// Rows of memory that a source takes while it is read.
template <class S>
inline constexpr std::size_t rows_to_open = is_formula<S> ? S::scratch_rows : 1 + S::scratch_rows;

/// What `here` reads of a source: its reader where it is a formula, else its row, in place where it is one in memory.
template <class S, class Row, class T = typename Row::scalar>
LIMBECK_HOST_DEVICE auto opened(const S& s, const Row& r, std::span<T> memory) {
  if constexpr (is_formula<S>) {
    return s.open(r, memory);
  } else {
    const std::size_t n = r.out.size();
    return source_row(s, r, memory.first(n), memory.subspan(n));
  }
}

/// Readers one behind the other: what a device copies has no std::tuple.
template <class... R>
struct reader_list {};
template <class First, class... Rest>
struct reader_list<First, Rest...> {
  First first;
  reader_list<Rest...> rest;
};

/// Sources one behind the other.
template <class... S>
struct source_list {
  static constexpr std::size_t scratch_rows = 0;
  static constexpr bool needs_labels = false, needs_student = false;
  auto settled(double) const { return *this; }
  template <class Row, class T>
  LIMBECK_HOST_DEVICE reader_list<> open(const Row&, std::span<T>) const {
    return {};
  }
};
template <class First, class... Rest>
struct source_list<First, Rest...> {
  using scalar = typename First::scalar;
  using memory = target_memory<First>;
  static_assert((std::is_same_v<typename Rest::scalar, scalar> && ...),
                "limbeck: the tensors of a formula hold one scalar type; float goes with float, double with double");
  static_assert((std::is_same_v<target_memory<Rest>, memory> && ...),
                "limbeck: the tensors of a formula live in different memory (host and device)");
  static constexpr std::size_t scratch_rows = rows_to_open<First> + source_list<Rest...>::scratch_rows;
  static constexpr bool needs_labels = target_needs_labels<First>() || source_list<Rest...>::needs_labels;
  static constexpr bool needs_student = target_needs_student<First>() || source_list<Rest...>::needs_student;
  First first;
  source_list<Rest...> rest;

  auto settled(double at) const {
    auto f = detail::settled(first, at);
    return prepend(f, rest.settled(at));
  }
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    auto f = opened(first, r, memory_.first(rows_to_open<First> * r.out.size()));
    auto others = rest.open(r, memory_.subspan(rows_to_open<First> * r.out.size()));
    return prepend_reader(f, others);
  }

 private:
  template <class F, class... O>
  static source_list<F, O...> prepend(const F& f, const source_list<O...>& others) {
    return {f, others};
  }
  template <class F, class... O>
  LIMBECK_HOST_DEVICE static reader_list<F, O...> prepend_reader(const F& f, const reader_list<O...>& others) {
    return {f, others};
  }
};
template <class First>
auto list_of(const First& first) {
  return source_list<First>{first, {}};
}
template <class First, class Second, class... Rest>
auto list_of(const First& first, const Second& second, const Rest&... rest) {
  return source_list<First, Second, Rest...>{first, list_of(second, rest...)};
}

/// @throws shape_error where a source has not the shape of the first.
template <class First, class... S>
void check_sources(const char* who, const First& first, const S&... others) {
  [[maybe_unused]] const auto check = [&](const auto& s) {
    if (s.samples() != first.samples() || s.classes() != first.classes())
      throw_shape(who, s.samples(), s.classes(), first.samples(), first.classes());
  };
  (check(others), ...);
}

/// What every formula has, of sources @p S: its shape, and `fill` by `open` of @p Derived.
template <class Derived, class... S>
struct formula {
  using limbeck_target = void;
  using limbeck_formula = void;
  using scalar = typename source_list<S...>::scalar;
  using memory = typename source_list<S...>::memory;
  static constexpr bool needs_labels = source_list<S...>::needs_labels;
  static constexpr bool needs_student = source_list<S...>::needs_student;
  static constexpr std::size_t scratch_rows = source_list<S...>::scratch_rows;
  source_list<S...> sources;
  std::size_t samples() const { return sources.first.samples(); }
  std::size_t classes() const { return sources.first.classes(); }
  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    const auto reader = static_cast<const Derived&>(*this).open(r, r.memory);
    write_formula(r.team, r.out.data(), r.out.size(), [reader](const auto& here) LIMBECK_LAMBDA_INLINE { return here(reader); });
  }
  /// @p count elements from @p first, by the reader of a row on the host.
  template <class Reader>
  static void read(const Reader& reader, std::size_t first, std::size_t count, scalar* out) {
    write_part(out, first, count, [reader](const auto& here) LIMBECK_LAMBDA_INLINE { return here(reader); });
  }
};

}  // namespace detail

/// c_0 x_0 + c_1 x_1 + ... with coefficients of the row; made by the functions of this folder.
template <class Numbers, class... S>
struct combination : detail::formula<combination<Numbers, S...>, S...> {
  static constexpr bool by_element = (detail::is_by_element<S> && ...);  ///< of the same elements of its sources alone
  Numbers numbers;  ///< the coefficients of a row: `numbers(row, progress)`, an array of double

  /// @cond
  template <class T, class... R>
  struct reader {
    detail::team_array<T, sizeof...(R)> c;
    detail::reader_list<R...> of;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      using X = typename Here::number;
      return add<1>(here, X(c.v[0]) * here(of.first), of.rest);
    }

   private:
    template <std::size_t K, class Here, class First, class... Rest>
    LIMBECK_INLINE auto add(const Here& here, const typename Here::number& sum_, const detail::reader_list<First, Rest...>& more) const {
      return add<K + 1>(here, sum_ + typename Here::number(c.v[K]) * here(more.first), more.rest);
    }
    template <std::size_t K, class Here>
    LIMBECK_INLINE auto add(const Here&, const typename Here::number& sum_, const detail::reader_list<>&) const {
      return sum_;
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    return reader_of(r, this->sources.open(r, memory_));
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at), at); }

 private:
  template <class Row, class... R>
  LIMBECK_HOST_DEVICE auto reader_of(const Row& r, const detail::reader_list<R...>& readers) const {
    using T = typename Row::scalar;
    const auto c = numbers(r.index, r.progress);
    reader<T, R...> made{{}, readers};
    for (std::size_t k = 0; k < sizeof...(R); ++k) made.c.v[k] = static_cast<T>(c.v[k]);
    return made;
  }
  template <class... Settled>
  auto settled_with(const detail::source_list<Settled...>& s, double at) const {
    return combination<detail::settled_t<Numbers>, Settled...>{{s}, detail::settled(numbers, at)};
  }
  /// @endcond
};

/// f(x_0, x_1, ...) of the same element of each tensor, with a function f of the row; made by the functions of this folder.
template <class Rule, class... S>
struct elementwise : detail::formula<elementwise<Rule, S...>, S...> {
  static constexpr bool by_element = (detail::is_by_element<S> && ...);  ///< of the same elements of its sources alone
  Rule rule;  ///< `rule.template of<T>(row)` is f, small and copyable, of numbers and of packs of them

  /// @cond
  template <class F, class... R>
  struct reader {
    F f;
    detail::reader_list<R...> of;
    template <class Here>
    LIMBECK_INLINE auto read(const Here& here) const {
      return next(here, of);
    }

   private:
    template <class Here, class First, class... Rest, class... X>
    LIMBECK_INLINE auto next(const Here& here, const detail::reader_list<First, Rest...>& readers, const X&... x) const {
      return next(here, readers.rest, x..., here(readers.first));
    }
    template <class Here, class... X>
    LIMBECK_INLINE auto next(const Here&, const detail::reader_list<>&, const X&... x) const {
      return f(x...);
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    return reader_of(rule.template of<T>(r.index), this->sources.open(r, memory_));
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class F, class... R>
  LIMBECK_HOST_DEVICE static reader<F, R...> reader_of(const F& f, const detail::reader_list<R...>& readers) {
    return {f, readers};
  }
  template <class... Settled>
  auto settled_with(const detail::source_list<Settled...>& s) const {
    return elementwise<Rule, Settled...>{{s}, rule};
  }
  /// @endcond
};

namespace detail {

/// A rule of tensors and targets of one shape.
template <class Rule, class... X>
auto by_rule(const char* who, const Rule& rule, X&&... x) {
  const auto made = [&](const auto&... s) {
    check_sources(who, s...);
    return elementwise<Rule, std::remove_cvref_t<decltype(s)>...>{{list_of(s...)}, rule};
  };
  return made(as_target(std::forward<X>(x))...);
}

/// A combination of tensors and targets of one shape, by these numbers.
template <class Numbers, class... X>
auto combined(const char* who, const Numbers& numbers, X&&... x) {
  const auto made = [&](const auto&... s) {
    check_sources(who, s...);
    return combination<Numbers, std::remove_cvref_t<decltype(s)>...>{{list_of(s...)}, numbers};
  };
  return made(as_target(std::forward<X>(x))...);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
