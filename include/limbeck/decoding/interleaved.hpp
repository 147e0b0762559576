#ifndef LIMBECK_DECODING_INTERLEAVED_HPP
#define LIMBECK_DECODING_INTERLEAVED_HPP

/// @file
/// A student drafts, and a teacher replaces what it finds unlikely.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of `interleaved`.
struct interleaving {
  std::size_t top_k = 25;  ///< a draft stays that is among so many of the teacher's likeliest, and not impossible; 0: none, all classes: all
  double top_p = 1;        ///< below 1: and whose probability, with that of all likelier ones, is below it, or that is the likeliest
  std::size_t block = 5;   ///< drafts before the teacher is asked, >= 1: what it costs, and no token
};

/// See interleaved().
template <class Student, class Teacher>
class interleaved_decoding {
 public:
  /// See interleaved().
  interleaved_decoding(Student student, Teacher teacher, const interleaving& settings)
      : student_(std::forward<Student>(student)), teacher_(std::forward<Teacher>(teacher)), settings_(settings) {
    if (settings.block == 0) raise<value_error>("limbeck: interleaving::block is 0, expected 1 at least");
    if (!(settings.top_p > 0 && settings.top_p <= 1))
      raise<value_error>("limbeck: interleaving::top_p is " + detail::show(settings.top_p) + ", expected a number in (0, 1]");
  }
  /// Up to a block of tokens behind each open sequence: the drafts that stay, and the teacher's token in the place of the first
  /// that does not.
  void round(writing& w) {
    begin_.resize(w.open().back() + 1);
    for (const std::size_t s : w.open()) begin_[s] = w.size(s);
    drafting_.assign(w.open().begin(), w.open().end());
    for (std::size_t b = 0; b < settings_.block; ++b) {
      detail::write_by(w, student_, "student", drafting_, 0, law_);
      std::erase_if(drafting_, [&](std::size_t s) { return w.ended(s); });
    }
    const auto rows = w.ask_from(teacher_, "teacher", w.open(), [&](std::size_t s) { return begin_[s]; });
    std::size_t first_row = 0;
    for (const std::size_t s : w.open()) {
      const std::size_t end = w.size(s);
      std::size_t place = begin_[s];
      const auto row = [&] { return first_row + place - begin_[s]; };
      for (; place < end; ++place) {
        w.law(rows, row(), s, place, {}, law_);
        if (!stays(w.token(s, place))) break;
      }
      if (place < end) {
        w.take_back(s, place);
        w.law(rows, row(), s, place, w.how(), law_);
        auto dice = w.dice(s);
        dice.skip(1);  // that of the draft
        w.write(s, law_, law_.draw(dice), 1);
      }
      first_row += end - begin_[s];
    }
  }

 private:
  Student student_;
  Teacher teacher_;
  interleaving settings_;
  bool stays(token_id draft) const {
    if (settings_.top_k < law_.size() && !(law_[draft] > 0)) return false;
    const std::size_t rank = law_.rank(draft);
    return rank < settings_.top_k && (settings_.top_p >= 1 || rank == 0 || law_.mass_before(draft) + law_[draft] < settings_.top_p);
  }

  std::vector<std::size_t> begin_{}, drafting_{};  // of a round: where each sequence began, who goes on drafting
  token_law law_{};
};

/// For `sample`: the student writes, and where its token is not among the teacher's `top_k`, the teacher draws another.
///
/// Speculative knowledge distillation, SKD (Xu, Han, Wang and others, 2024, arXiv:2410.11325, algorithm 1; K = 25 and blocks of 5 drafts): with K the
/// vocabulary the samples are the student's, bit for bit; with 0 they follow the teacher. The samples do not depend on `block`,
/// bit for bit: a token has its random numbers by its place, and those of drafts that are dropped are drawn again. (The authors' code draws
/// the student's token a second time for the test, and keeps the first.)
///
/// A round is `block` calls of the student and one of the teacher. Both draw by the settings of `sample`; a draft stays by the
/// teacher's own distribution. Models are held by reference, temporary ones by value.
/// @throws value_error where `block` is 0, or `top_p` is not in (0, 1].
template <class Student, class Teacher>
interleaved_decoding<Student, Teacher> interleaved(Student&& student, Teacher&& teacher, const interleaving& settings = {}) {
  detail::require_scorers<Student, Teacher>();
  return {std::forward<Student>(student), std::forward<Teacher>(teacher), settings};
}

LIMBECK_END_NAMESPACE

#endif
