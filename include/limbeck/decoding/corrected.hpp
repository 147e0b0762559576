#ifndef LIMBECK_DECODING_CORRECTED_HPP
#define LIMBECK_DECODING_CORRECTED_HPP

/// @file
/// A student's answers, mended where its teacher differs most.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @p written, each answer corrected once: at every place the teacher draws a token of its own behind what the student wrote; of the
/// places where that is another, the one with the largest KL(teacher || student) gets the teacher's token, and the student
/// writes what follows anew. An answer in which no place differs stays as it is.
///
/// The sequence correction and re-generation of MGSR, SCRG (Liu, Zhang, Li and others, 2024, arXiv:2407.10068, equations 3 and 4). Divergences are of full
/// distributions at temperature 1, draws by @p how; they are others than those of the answers, with their seed too.
/// A pass of each model over all answers, whose rows are held at once: give a part of the sequences where they are many; then as
/// many calls of the student as `sample` makes. Writers are 1 at the teacher's token. O(tokens classes).
/// @throws as `sample`.
template <class Student, class Teacher>
rollouts corrected_once(Student&& student, Teacher&& teacher, const rollouts& written, const sampling& how = {}) {
  detail::require_scorers<Student, Teacher>();
  sampling anew = how;
  anew.seed = random_stream(how.seed).split(0xc0441ec7ed)();  // whichever numbers the answers have used, these are others
  writing w = writing::behind(written, anew);
  std::vector<std::size_t> who;
  for (std::size_t s = 0; s < written.size(); ++s)
    if (!written.answer(s).empty()) who.push_back(s);
  if (who.empty()) return written;
  const auto begin = [&](std::size_t s) { return written.prompts[s]; };
  std::vector<std::size_t> open;
  std::vector<double> memory;
  token_law of_teacher, of_student;
  {
    const auto theirs = w.ask_from(teacher, "teacher", who, begin).kept(memory);
    const auto mine = w.ask_from(student, "student", who, begin);
    std::size_t row = 0;
    for (const std::size_t s : who) {
      double worst = -1;
      std::size_t at = 0, at_row = 0;
      for (std::size_t place = begin(s); place < written.sequences.length(s); ++place, ++row) {
        w.law(theirs, row, s, place, how, of_teacher);
        auto dice = w.dice(s, place);
        if (of_teacher.draw(dice) == w.token(s, place)) continue;
        w.law(theirs, row, s, place, {}, of_teacher);
        w.law(mine, row, s, place, {}, of_student);
        const double distance = of_teacher.divergence(of_student);
        if (distance > worst) worst = distance, at = place, at_row = row;
      }
      if (worst < 0) continue;
      w.take_back(s, at);
      w.law(theirs, at_row, s, at, how, of_teacher);
      auto dice = w.dice(s, at);
      w.write(s, of_teacher, of_teacher.draw(dice), 1);
      open.push_back(s);
    }
  }
  for (;;) {
    std::erase_if(open, [&](std::size_t s) { return w.ended(s); });
    if (open.empty()) return w.result();
    detail::write_by(w, student, "student", open, 0, of_student, 1);
  }
}

LIMBECK_END_NAMESPACE

#endif
