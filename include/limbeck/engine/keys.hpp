#ifndef LIMBECK_ENGINE_KEYS_HPP
#define LIMBECK_ENGINE_KEYS_HPP

/// @file
/// Statistics of a row as types: a statistic is identified by tensor, temperature and domain of classes.

#include <limbeck/core/config.hpp>

#include <cstddef>
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

namespace detail {

// who a statistic belongs to
struct student_side {};
struct teacher_side {};

// temperatures as types; the number itself travels with the term
template <std::size_t Index>
struct batch_slot {};
template <std::size_t Index>
struct learned_slot {};
struct row_slot {};
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
