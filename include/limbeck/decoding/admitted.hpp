#ifndef LIMBECK_DECODING_ADMITTED_HPP
#define LIMBECK_DECODING_ADMITTED_HPP

/// @file
/// A teacher proposes, and a student admits what it finds likely enough.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of `admitted`.
struct admission {
  double probability = 0.01;  ///< >= 0: the least that the student gives to a token that it admits
  std::size_t tries = 5;      ///< proposals at a place, before the student draws itself
};

/// See admitted().
template <class Teacher, class Student>
class admitted_decoding {
 public:
  /// See admitted().
  admitted_decoding(Teacher teacher, Student student, const admission& settings)
      : teacher_(std::forward<Teacher>(teacher)), student_(std::forward<Student>(student)), settings_(settings) {
    if (!(settings.probability >= 0))
      raise<value_error>("limbeck: admission::probability is " + detail::show(settings.probability) + ", expected a number >= 0");
  }
  /// A token behind each open sequence.
  void round(writing& w) {
    const auto proposals = w.ask(teacher_, "teacher", w.open()).kept(kept_);
    const auto judgements = w.ask(student_, "student", w.open());
    for (std::size_t i = 0; i < w.open().size(); ++i) {
      const std::size_t s = w.open()[i];
      w.law(proposals, i, s, w.size(s), w.how(), of_teacher_);
      w.law(judgements, i, s, w.size(s), {}, of_student_);
      auto dice = w.dice(s);
      token_id token = -1;
      for (std::size_t t = 0; t < settings_.tries && token < 0; ++t) {
        const token_id proposal = of_teacher_.draw(dice);
        if (admits(proposal, w.how().top_k)) token = proposal;
      }
      if (token >= 0) {
        w.write(s, of_teacher_, token, 0);
      } else {
        w.law(judgements, i, s, w.size(s), w.how(), of_student_);
        w.write(s, of_student_, of_student_.draw(dice), 1);
      }
    }
  }

 private:
  Teacher teacher_;
  Student student_;
  admission settings_;
  bool admits(token_id token, std::size_t top_k) const {
    const bool all = top_k == 0 || top_k >= of_student_.size();
    return of_student_[token] >= settings_.probability && (all || (of_student_[token] > 0 && of_student_.rank(token) < top_k));
  }

  std::vector<double> kept_{};
  token_law of_teacher_{}, of_student_{};
};

/// For `sample`: the teacher draws a token until the student admits it, which gives it at least `probability` (by its own softmax, temperature 1)
/// and, where `sample` has a `top_k`, has it among its likeliest so many; after `tries` the student draws one.
///
/// Reverse speculative decoding, RSD (Kim, Seo and Lee, 2025, arXiv:2509.22230): traces that a small student can learn, by
/// `sample(admitted(teacher, student), prompts, {.temperature = 0.7, .top_k = 20, .top_p = 0.95})`; then cross-entropy on them. With probability 0 (and
/// all classes) the samples are the teacher's, bit for bit; above 1 they follow the student. Both have one vocabulary
/// here; the paper maps tokens between two. Writers are 0 for the teacher, 1 for the student. A round is a call of each model;
/// they are held by reference, temporary ones by value.
/// @throws value_error where `probability` is negative or NaN.
template <class Teacher, class Student>
admitted_decoding<Teacher, Student> admitted(Teacher&& teacher, Student&& student, const admission& settings = {}) {
  detail::require_scorers<Teacher, Student>();
  return {std::forward<Teacher>(teacher), std::forward<Student>(student), settings};
}

LIMBECK_END_NAMESPACE

#endif
