#ifndef LIMBECK_OBJECTIVE_WORDS_HPP
#define LIMBECK_OBJECTIVE_WORDS_HPP

/// @file
/// The terms of an objective in words, with whole schedules and every option: what plans print and checkpoints compare.
/// In the order of `detail::flatten`.

#include <limbeck/core/describe.hpp>
#include <limbeck/objective/flatten.hpp>

#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// One term, in words.
struct term_words {
  std::string weight{}, loss{}, name{}, part_of{}, signal{}, domain{}, output{}, settings{};
  std::string student = "1", teacher = "1";  ///< temperatures
  int power = 0;                             ///< the k of T^k
  bool weight_moves = false, scaled = true;
  bool of_layers = false;             ///< whether at_layers holds it
  bool student_moves = false, teacher_moves = false;  ///< whether the temperature is more than a number
};

template <class S>
inline constexpr bool moves = !std::is_same_v<S, constant> && (schedule<S> || signal<S>);

template <class L>
std::string described_loss(const L& loss) {
  if constexpr (self_described<L> || members<L>() > 0) {
    return described(loss);
  } else {
    return std::string(loss_name<L>());
  }
}

/// The name of an option, as the compiler spells its pointer.
template <auto Member>
std::string described_member() {
  std::string_view s = type_name<std::integral_constant<decltype(Member), Member>>();
  s = s.substr(0, s.rfind('>'));
  return std::string(s.substr(s.rfind(':') + 1));
}

/// Adds the terms of @p e, which stands in the place @p c.
template <class E>
void add_words(const E& e, term_words c, std::vector<term_words>& out) {
  const auto and_then = [](std::string& all, const std::string& more) { all += (all.empty() ? "" : " * ") + more; };
  if constexpr (is<E, composite>) {
    and_then(c.part_of, described_loss(e));
    add_words(e.terms(), std::move(c), out);
  } else if constexpr (is<E, layered>) {
    c.of_layers = true;
    for (std::size_t k = 0; k < e.losses.size(); ++k) {
      c.output = std::string(E::place::student) + ' ' + std::to_string(e.map[k].student) + " against " +
                 std::string(E::place::teacher) + ' ' + std::to_string(e.map[k].teacher);
      add_words(e.losses[k], c, out);
    }
  } else if constexpr (!is<E, expression>) {
    c.loss = described_loss(e);
    if (!c.settings.empty()) c.loss += " with " + c.settings;
    c.power = c.scaled ? temperature_power<E>() : 0;
    out.push_back(std::move(c));
  } else if constexpr (requires { e.first; e.second; }) {
    add_words(e.first, c, out);
    add_words(e.second, std::move(c), out);
  } else {
    if constexpr (requires { e.student; e.teacher; }) {
      using Student = std::remove_cvref_t<decltype(e.student)>;
      using Teacher = std::remove_cvref_t<decltype(e.teacher)>;
      c.student = c.teacher = described(e.student);
      c.student_moves = c.teacher_moves = moves<Student>;
      if constexpr (!std::is_same_v<Teacher, same_temperature>) {
        c.teacher = described(e.teacher);
        c.teacher_moves = moves<Teacher>;
      }
    } else if constexpr (requires { e.setting; }) {
      and_then(c.settings, described_member<E::member>() + " = " + described(e.setting));
    } else if constexpr (requires { e.weighing; }) {
      and_then(c.signal, described(e.weighing));
      if constexpr (!std::is_void_v<typename E::side>)
        c.signal += std::is_same_v<typename E::side, student_side> ? " of the student" : " of the teacher";
    } else if constexpr (requires { e.weight; }) {
      and_then(c.weight, described(e.weight));
      c.weight_moves = c.weight_moves || moves<std::remove_cvref_t<decltype(e.weight)>>;
    } else if constexpr (requires { typename E::place; }) {
      c.output = std::string(E::place::student);
      if (E::place::teacher != E::place::student) c.output += " against " + std::string(E::place::teacher);
    } else if constexpr (requires { typename E::domain; }) {
      if constexpr (requires { E::domain::describe(); }) {
        c.domain = E::domain::describe();
      } else {
        c.domain = short_name<typename E::domain>();
      }
    } else if constexpr (requires { E::name; }) {
      c.name = E::name.view();
    } else if constexpr (requires { E::takes_scale_away; }) {
      c.scaled = false;
    }
    add_words(e.inner, std::move(c), out);
  }
}
template <class E>
std::vector<term_words> words_of(const E& e) {
  std::vector<term_words> out;
  add_words(e, {}, out);
  return out;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
