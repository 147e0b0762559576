#ifndef LIMBECK_ENGINE_PLAN_HPP
#define LIMBECK_ENGINE_PLAN_HPP

/// @file
/// The planner: from the terms of an objective to the statistics of a row that they need, each once.
///
/// All of it happens on types, by Boost.Hana. A statistic is identified by tensor, temperature and domain of classes;
/// two terms that name the same statistic share it. What is left at run time is an index.

#include <limbeck/core/config.hpp>
#include <limbeck/engine/bound_signal.hpp>
#include <limbeck/engine/keys.hpp>
#include <limbeck/engine/point.hpp>

#include <boost/hana/append.hpp>
#include <boost/hana/concat.hpp>
#include <boost/hana/contains.hpp>
#include <boost/hana/fold_left.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// One loss with its place in the objective: @p Place says at which outputs, void at the logits.
template <class Loss, class Domain, class StudentSlot, class TeacherSlot, class Signal = no_signal, class Place = void>
struct term {
  using loss_type = Loss;
  using place = Place;
  using domain = Domain;
  using student_slot = StudentSlot;
  using teacher_slot = TeacherSlot;
  using signal_type = Signal;
  Loss loss;
  Signal signal;  ///< weighs the rows
  double weight;
  double student_t, teacher_t;  ///< this batch's temperatures; unused by those of rows
  int power;                    ///< the loss is multiplied with T^power
  std::string_view name;
};

/// Whether an option of the term's loss is a number of a row.
template <class Term>
inline constexpr bool has_settings = settings_in<typename std::remove_cvref_t<Term>::signal_type> > 0;

// what a loss declares, with defaults

template <class L>
using kind_of = typename L::limbeck_loss;
template <class L, class Kind>
inline constexpr bool is = std::is_same_v<kind_of<L>, Kind>;

/// Whether the loss compares with a teacher.
template <class L>
constexpr bool needs_teacher() {
  if constexpr (requires { L::needs_teacher; }) {
    return L::needs_teacher;
  } else {
    return true;
  }
}
template <class L>
constexpr bool needs_labels() {
  if constexpr (requires { L::needs_labels; }) {
    return L::needs_labels;
  } else {
    return is<L, labelwise>;
  }
}
template <class L>
constexpr bool needs_rest() {
  if constexpr (requires { L::needs_rest; }) {
    return L::needs_rest;
  } else {
    return false;
  }
}
template <class L>
constexpr std::size_t scratch_rows() {
  if constexpr (requires { L::scratch_rows; }) {
    return L::scratch_rows;
  } else {
    return 0;
  }
}
/// Whether the loss is divided by the number of columns.
template <class L>
concept averages_columns = requires { L::mean_over_classes; } && L::mean_over_classes;
/// A loss whose term of a class may be too large to be held.  A concept, as nvcc reads no `requires` in a `requires` there.
template <class L>
concept saturating = requires { L::saturates; } && L::saturates;
/// Whether the loss compares features, of which none is masked: there -inf is a fault, not a class that is left out.
template <class L>
concept reads_features = requires { L::of_features; } && L::of_features;
/// Whether a side of the loss holds no logits (likelihoods, parameters, answers), whose temperature is 1: of both sides, or of the
/// teacher's. A call checks a number; what differs from row to row, or is learned, is refused.
template <class L>
inline constexpr bool fixed_temperature = [] {
  if constexpr (requires { L::fixed_temperature; }) return L::fixed_temperature;
  return false;
}();
template <class L>
inline constexpr bool fixed_teacher_temperature = [] {
  if constexpr (requires { L::fixed_teacher_temperature; }) return L::fixed_teacher_temperature || fixed_temperature<L>;
  return fixed_temperature<L>;
}();
/// Whether the loss takes a teacher of another number of columns than the student.
template <class L>
concept takes_any_width = requires { L::any_width; } && L::any_width;
/// Whether a batchwise loss is a sum over rows, each by its own.
template <class L>
inline constexpr bool is_by_row = false;
template <class L>
  requires requires { L::by_row; }
inline constexpr bool is_by_row<L> = L::by_row;
/// Whether rows of a map, or of a loss that is `by_row`, depend on all rows of a call, which then cannot be cut into micro-batches.
template <class X>
inline constexpr bool relates_rows = false;
template <class X>
  requires requires { X::relates_rows; }
inline constexpr bool relates_rows<X> = X::relates_rows;
/// Whether the term reads student and teacher column by column.
template <class Term>
inline constexpr bool needs_one_width =
    (needs_teacher<typename Term::loss_type>() && !takes_any_width<typename Term::loss_type>) ||
    Term::signal_type::needs_teacher;
/// A loss that is 1 in every row: what a signal weighs when it is measured alone.
struct constantly {};
struct one {
  using limbeck_loss = constantly;
  static constexpr bool needs_teacher = false;
  static constexpr int temperature_power = 0;
};

/// Whether the loss can take probabilities instead of labels.
template <class L>
inline constexpr bool takes_soft_labels = requires { L::takes_soft_labels; };

inline constexpr auto add_once = []<class Set, class Key>(Set, Key) {
  if constexpr (decltype(hana::contains(Set{}, Key{}))::value) {
    return Set{};
  } else {
    return hana::append(Set{}, Key{});
  }
};
template <class... K>
constexpr key_list<K...> as_list(hana::tuple<hana::type<K>...>) {
  return {};
}
template <class... K>
constexpr key_list<typename K::type...> list_of(hana::tuple<K...>) {
  return {};
}
/// The keys of a tuple of types in order of appearance, each once.
template <class Keys>
using unique_list = decltype(list_of(hana::fold_left(std::declval<Keys>(), hana::tuple<>{}, add_once)));

/// The softmaxes, pairs and temperatures that one term reads.
template <class Term>
struct needs_of {
  using L = typename Term::loss_type;
  using S = typename Term::student_slot;
  using U = typename Term::teacher_slot;
  using D = typename top_in<typename Term::domain>::softmax_domain;
  /// The classes that are one outcome.
  using rest = below_top<top_in<typename Term::domain>::size>;
  static constexpr bool has_rest = top_in<typename Term::domain>::with_rest;
  static constexpr bool probabilities = is<L, pointwise> || is<L, labelwise>;

  static constexpr auto softmaxes() { return hana::concat(of_loss(), Term::signal_type::softmaxes()); }
  static constexpr auto pairs() { return hana::concat(pairs_of_loss(), Term::signal_type::pairs()); }
  static constexpr auto slot_keys() { return hana::concat(slots_of_loss(), Term::signal_type::slot_keys()); }

 private:
  static constexpr auto of_loss() {
    if constexpr (!probabilities) {
      return hana::tuple<>{};
    } else if constexpr (!needs_teacher<L>() && needs_rest<L>()) {
      return hana::make_tuple(hana::type_c<softmax_key<student_side, S, D>>, hana::type_c<softmax_key<student_side, S, non_target>>);
    } else if constexpr (!needs_teacher<L>()) {
      return hana::make_tuple(hana::type_c<softmax_key<student_side, S, D>>);
    } else if constexpr (needs_rest<L>()) {
      return hana::make_tuple(hana::type_c<softmax_key<student_side, S, D>>,
                              hana::type_c<softmax_key<teacher_side, U, D>>,
                              hana::type_c<softmax_key<student_side, S, non_target>>,
                              hana::type_c<softmax_key<teacher_side, U, non_target>>);
    } else if constexpr (has_rest) {
      return hana::make_tuple(hana::type_c<softmax_key<student_side, S, D>>,
                              hana::type_c<softmax_key<teacher_side, U, D>>,
                              hana::type_c<softmax_key<student_side, S, rest>>,
                              hana::type_c<softmax_key<teacher_side, U, rest>>);
    } else {
      return hana::make_tuple(hana::type_c<softmax_key<student_side, S, D>>,
                              hana::type_c<softmax_key<teacher_side, U, D>>);
    }
  }
  static constexpr auto pairs_of_loss() {
    if constexpr (!probabilities || !needs_teacher<L>()) {
      return hana::tuple<>{};
    } else if constexpr (needs_rest<L>()) {
      return hana::make_tuple(hana::type_c<pair_key<S, U, D>>, hana::type_c<pair_key<S, U, non_target>>);
    } else if constexpr (has_rest) {
      return hana::make_tuple(hana::type_c<pair_key<S, U, D>>, hana::type_c<pair_key<S, U, rest>>);
    } else {
      return hana::make_tuple(hana::type_c<pair_key<S, U, D>>);
    }
  }
  static constexpr auto slots_of_loss() {
    if constexpr (needs_teacher<L>()) {
      return hana::make_tuple(hana::type_c<S>, hana::type_c<U>);
    } else {
      return hana::make_tuple(hana::type_c<S>);
    }
  }
};

inline constexpr auto maximum_of = [](auto set, auto key) {
  return add_once(set, hana::type_c<typename decltype(key)::type::maximum>);
};

/// Everything that follows from the types of an objective's terms.
template <class... Term>
struct plan {
  static constexpr std::size_t size = sizeof...(Term);
  using terms = hana::tuple<Term...>;
  template <std::size_t K>
  using term_at = typename decltype(+hana::tuple_t<Term...>[hana::size_c<K>])::type;

  using softmaxes = unique_list<decltype(hana::fold_left(hana::make_tuple(needs_of<Term>::softmaxes()...),
                                                         hana::tuple<>{}, hana::concat))>;
  using pairs = unique_list<decltype(hana::fold_left(hana::make_tuple(needs_of<Term>::pairs()...), hana::tuple<>{},
                                                     hana::concat))>;
  using slot_keys = unique_list<decltype(hana::fold_left(hana::make_tuple(needs_of<Term>::slot_keys()...), hana::tuple<>{},
                                                     hana::concat))>;
  template <class... K>
  static constexpr auto maxima_of(key_list<K...>) {
    return list_of(hana::fold_left(hana::make_tuple(hana::type_c<K>...), hana::tuple<>{}, maximum_of));
  }
  using maxima = decltype(maxima_of(softmaxes{}));

  template <std::size_t K, class... Key>
  static constexpr bool of_student_in(key_list<Key...>) {
    constexpr bool is_student[] = {std::is_same_v<typename Key::who, student_side>..., false};
    return is_student[K < sizeof...(Key) ? K : sizeof...(Key)];
  }
  /// Whether the K-th softmax is the student's.
  template <std::size_t K>
  static constexpr bool of_student() {
    return of_student_in<K>(softmaxes{});
  }

  template <class Who, class... Key>
  static constexpr bool any_softmax_of(key_list<Key...>) {
    return (std::is_same_v<typename Key::who, Who> || ...);
  }
  /// Whether a side has a softmax, whose sums tell of what is no logit.
  template <class Who>
  static constexpr bool has_softmax() {
    return any_softmax_of<Who>(softmaxes{});
  }

  template <class Kind>
  static constexpr bool any = (is<typename Term::loss_type, Kind> || ...);
  static constexpr bool teacher =
      ((needs_teacher<typename Term::loss_type>() || Term::signal_type::needs_teacher) || ...);
  /// Whether the teacher is read by whole rows only, which may be longer or shorter than the student's.
  static constexpr bool any_width = teacher && !(needs_one_width<Term> || ...);
  /// Whether -inf is a fault, whatever else the objective holds.
  static constexpr bool features = (reads_features<typename Term::loss_type> || ...);
  static constexpr bool labels = ((needs_labels<typename Term::loss_type>() || Term::signal_type::needs_labels ||
                                   std::is_same_v<typename Term::domain, non_target>) ||
                                  ...);
  static constexpr bool uses_soft_labels = (takes_soft_labels<typename Term::loss_type> || ...);
  template <class Domain>
  static constexpr bool uses_domain = ((std::is_same_v<typename Term::domain, Domain>) || ...) ||
                                      (std::is_same_v<Domain, non_target> &&
                                       (needs_rest<typename Term::loss_type>() || ...));
  /// How many of the teacher's highest classes a domain asks for, at most.
  static constexpr std::size_t top = [] {
    std::size_t n = 0;
    for (const std::size_t k : {top_in<typename Term::domain>::size...}) n = k > n ? k : n;
    return n;
  }();
  static constexpr bool has_rest = (top_in<typename Term::domain>::with_rest || ...);
  static constexpr bool uses_row_temperatures = slot_keys::template contains<row_slot>;
  static constexpr bool temperatures_by_row = uses_row_temperatures || slot_keys::template contains<teacher_row_slot>;
  static constexpr std::size_t rowwise_scratch = [] {
    std::size_t n = 0;
    for (const std::size_t rows : {scratch_rows<typename Term::loss_type>()...}) n = rows > n ? rows : n;
    return n;
  }();

  /// Signals: their leaves are numbered over all terms.
  static constexpr std::size_t leaves = (Term::signal_type::leaves + ... + 0);
  static constexpr bool weighs = ((!std::is_same_v<typename Term::signal_type, no_signal>) || ...);
  template <std::size_t K>
  static constexpr std::size_t first_leaf() {
    const std::size_t counts[] = {Term::signal_type::leaves...};
    std::size_t n = 0;
    for (std::size_t k = 0; k != K; ++k) n += counts[k];
    return n;
  }
  /// Settings that are numbers of a row, numbered over all terms.
  static constexpr std::size_t settings = (settings_in<typename Term::signal_type> + ... + 0);
  /// Whether the weights of a row are known before anybody reads it; settings are checked with what is read.
  static constexpr bool weighs_unread = weighs && leaves == 0 && settings == 0;
  template <std::size_t K>
  static constexpr std::size_t first_setting() {
    const std::size_t counts[] = {settings_in<typename Term::signal_type>...};
    std::size_t n = 0;
    for (std::size_t k = 0; k != K; ++k) n += counts[k];
    return n;
  }
  /// What each leaf makes the sweep compute.
  static constexpr auto leaf_uses = [] {
    std::array<unsigned, leaves + 1> uses{};
    [[maybe_unused]] unsigned* next = uses.data();
    ((Term::signal_type::uses_into(next), next += Term::signal_type::leaves), ...);
    return uses;
  }();
  /// Whether one needs a pass over the classes.
  static constexpr bool signals_by_class = [] {
    unsigned any = 0;
    for (const unsigned u : leaf_uses) any |= u;
    return any != 0;
  }();

  template <class... S>
  static constexpr std::size_t count_learned(key_list<S...>) {
    return (std::size_t{is_learned<S>} + ... + 0);
  }
  static constexpr std::size_t learned = count_learned(slot_keys{});

  template <class Who, class... S>
  static constexpr bool any_deviation(key_list<S...>) {
    return (is_deviation_of<S, Who> || ...);
  }
  /// Whether a side has a temperature that is the deviation of its logits.
  template <class Who>
  static constexpr bool deviates = any_deviation<Who>(slot_keys{});
};

template <class Terms>
struct plan_of;
template <class... Term>
struct plan_of<hana::tuple<Term...>> {
  using type = plan<Term...>;
};

/// f(constant of 0), f(constant of 1), ...: a loop over types.
template <std::size_t N, class F>
LIMBECK_INLINE constexpr void for_each_index(F&& f) {
  [&]<std::size_t... Index>(std::index_sequence<Index...>) LIMBECK_LAMBDA_INLINE {
    (f(std::integral_constant<std::size_t, Index>{}), ...);
  }(std::make_index_sequence<N>{});
}
/// f.template operator()<Key, index>() for every key of a list.
template <class... K, class F>
LIMBECK_INLINE constexpr void for_each_key(key_list<K...>, F&& f) {
  [&]<std::size_t... Index>(std::index_sequence<Index...>) LIMBECK_LAMBDA_INLINE {
    (f.template operator()<K, Index>(), ...);
  }(std::make_index_sequence<sizeof...(K)>{});
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
