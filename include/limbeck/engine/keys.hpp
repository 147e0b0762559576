#ifndef LIMBECK_ENGINE_KEYS_HPP
#define LIMBECK_ENGINE_KEYS_HPP

/// @file
/// Statistics of a row as types: a statistic is identified by tensor, temperature and domain of classes.

#include <limbeck/core/config.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// Domains: the classes over which a softmax runs.
/// All of them.
struct all {};
/// All but the row's label.
struct non_target {};
/// Those whose entry in `class_mask(m)` is not 0.
struct masked {};
/// The @p K to which the teacher of the row gives most, of equal ones the lowest, none that it masks; each side is
/// normalised over them alone. At most C count. On a device K passes over the row, for tens.
template <std::size_t K>
struct top_of_teacher {
  static_assert(K > 0 && K < (std::size_t{1} << 24), "limbeck: the top of the teacher has 1 to 2^24 - 1 classes");
  /// In words, for the fingerprint of a checkpoint.
  static std::string describe() { return "top " + std::to_string(K) + " of the teacher"; }
};
/// The same classes with the probabilities that they have among all, and one outcome more: all others together.
template <std::size_t K>
struct top_of_teacher_and_rest {
  static_assert(K > 0 && K < (std::size_t{1} << 24), "limbeck: the top of the teacher has 1 to 2^24 - 1 classes");
  /// In words, for the fingerprint of a checkpoint.
  static std::string describe() { return "top " + std::to_string(K) + " of the teacher, and the rest"; }
};

namespace detail {

/// All but the top of the teacher.
template <std::size_t K>
struct below_top {};

/// What a domain takes of the teacher's ranking, and how many classes.
template <class Domain>
struct top_in {
  static constexpr std::size_t size = 0;
  static constexpr bool inside = false, below = false, with_rest = false;
  using softmax_domain = Domain;  ///< over which probabilities are normalised
};
template <std::size_t K>
struct top_in<top_of_teacher<K>> : top_in<all> {
  static constexpr std::size_t size = K;
  static constexpr bool inside = true;
  using softmax_domain = top_of_teacher<K>;
};
template <std::size_t K>
struct top_in<below_top<K>> : top_in<all> {
  static constexpr std::size_t size = K;
  static constexpr bool below = true;
  using softmax_domain = below_top<K>;
};
template <std::size_t K>
struct top_in<top_of_teacher_and_rest<K>> : top_in<all> {
  static constexpr std::size_t size = K;
  static constexpr bool with_rest = true;
};

// who a statistic belongs to
struct student_side {};
struct teacher_side {};

// temperatures as types; the number itself travels with the term
template <std::size_t Index>
struct batch_slot {};
template <std::size_t Index>
struct learned_slot {};
struct row_slot {};
/// One a row, of the teacher alone.
struct teacher_row_slot {};
template <class Slot>
inline constexpr bool is_row_slot = std::is_same_v<Slot, row_slot> || std::is_same_v<Slot, teacher_row_slot>;
template <int Num, int Den>
struct fixed_slot {};
/// So many deviations of the row's logits.
template <class Who, std::size_t Index>
struct deviation_slot {};

template <class Slot>
inline constexpr bool is_learned = false;
template <std::size_t Index>
inline constexpr bool is_learned<learned_slot<Index>> = true;

template <class Slot, class Who>
inline constexpr bool is_deviation_of = false;
template <class Who, std::size_t Index>
inline constexpr bool is_deviation_of<deviation_slot<Who, Index>, Who> = true;
template <class Slot>
inline constexpr bool is_deviation = is_deviation_of<Slot, student_side> || is_deviation_of<Slot, teacher_side>;

/// A student's slot in the teacher's place: each side has its own deviation.
template <class Slot>
struct of_teacher_slot {
  using type = Slot;
};
template <std::size_t Index>
struct of_teacher_slot<deviation_slot<student_side, Index>> {
  using type = deviation_slot<teacher_side, Index>;
};

// statistics

template <class Who, class Domain>
struct maximum_key {
  using who = Who;
  using domain = Domain;
};
template <class Who, class Slot, class Domain>
struct softmax_key {
  using who = Who;
  using slot = Slot;
  using domain = Domain;
  using maximum = maximum_key<Who, Domain>;
};
template <class StudentSlot, class TeacherSlot, class Domain>
struct pair_key {
  using domain = Domain;
  using student = softmax_key<student_side, StudentSlot, Domain>;
  using teacher = softmax_key<teacher_side, TeacherSlot, Domain>;
  static constexpr bool one_temperature = std::is_same_v<StudentSlot, TeacherSlot>;
};

template <class... K>
struct key_list {
  static constexpr std::size_t size = sizeof...(K);
  template <class Key>
  static constexpr std::size_t index() {
    std::size_t i = 0;
    (void)((std::is_same_v<Key, K> ? false : (++i, true)) && ...);
    return i;
  }
  template <class Key>
  static constexpr bool contains = (std::is_same_v<Key, K> || ...);
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
