#ifndef LIMBECK_TOKENS_ALIGNED_HPP
#define LIMBECK_TOKENS_ALIGNED_HPP

/// @file
/// Tokens of two tokenizers, lined up by the characters that they stand for.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The characters (or bytes, for both tokenizers alike) of a token in its text: those from `begin` to before `end`. A
/// token that stands for none, as the end of a sequence does, has two equal ones.
struct character_span {
  std::size_t begin = 0;  ///< the first
  std::size_t end = 0;    ///< behind the last
};

/// For each token of a student, the tokens of a teacher with which it shares a character; made by aligned(), or text by
/// text by `append`.
class token_alignment {
 public:
  /// One more text: the tokens of either side are numbered on from those before.
  /// @throws value_error where an end lies before its beginning, or tokens that stand for characters are out of order;
  /// nothing is added then. O(n log m + pairs) for n tokens of the student and m of the teacher.
  void append(std::span<const character_span> student, std::span<const character_span> teacher) {
    check("student", student);
    check("teacher", teacher);
    of_text_.clear();
    for (std::size_t j = 0; j < teacher.size(); ++j)
      if (teacher[j].begin < teacher[j].end) of_text_.push_back(j);
    for (const character_span& mine : student) {
      auto j = std::partition_point(of_text_.begin(), of_text_.end(),
                                    [&](std::size_t k) { return teacher[k].end <= mine.begin; });
      for (; mine.begin < mine.end && j != of_text_.end() && teacher[*j].begin < mine.end; ++j) teachers_.push_back(seen_ + *j);
      starts_.push_back(teachers_.size());
    }
    seen_ += teacher.size();
  }
  /// How many tokens the student has.
  std::size_t size() const { return starts_.size() - 1; }
  /// How many the teacher has.
  std::size_t teacher_tokens() const { return seen_; }
  /// The teacher's tokens of one of the student's, rising; none where it shares no character with any.
  std::span<const std::size_t> operator[](std::size_t i) const {
    return std::span(teachers_).subspan(starts_[i], starts_[i + 1] - starts_[i]);
  }

 private:
  static void check(const char* whose, std::span<const character_span> tokens) {
    character_span last;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const character_span& t = tokens[i];
      if (t.begin == t.end) continue;
      if (t.end < t.begin || t.begin < last.begin || t.end < last.end)
        raise<value_error>(std::string("limbeck: token ") + std::to_string(i) + " of the " + whose +
                           " has characters " + std::to_string(t.begin) + " to " + std::to_string(t.end) +
                           ", expected them in order, behind " + std::to_string(last.begin) + " to " +
                           std::to_string(last.end));
      last = t;
    }
  }
  std::vector<std::size_t> starts_{0}, teachers_, of_text_;
  std::size_t seen_ = 0;
};

/// Lines up the tokens of one text: map(i) = { j : [c_j, d_j) and [a_i, b_i) have a character in common }, by a binary
/// search for the first and a walk to the last. See token_alignment.
///
/// After Shin, Ji, Liu and Gong, VocAgnoLM, 2025, arXiv:2503.19123, of which summaries were read: each token of the
/// student lies within the characters of those that it is mapped to.
inline token_alignment aligned(std::span<const character_span> student, std::span<const character_span> teacher) {
  token_alignment a;
  a.append(student, teacher);
  return a;
}

/// @cond
namespace detail {
template <class Out, class Of>
void of_aligned(const token_alignment& a, const char* name, const any_vector& x, Out& out, const Of& of) {
  if (x.size() != a.teacher_tokens()) throw_length(name, x.size(), a.teacher_tokens(), "one a token of the teacher");
  const auto to = output_vector("out", out, a.size(), "one a token of the student");
  for (std::size_t i = 0; i < a.size(); ++i) put(to, i, a[i].empty() ? 0 : of(a[i]));
}
}  // namespace detail
/// @endcond

/// out_i = max over map(i) of x_j, the teacher's losses as the student's tokens see them; 0 where map(i) is empty. @p x
/// is any vector of numbers with one a token of the teacher, @p out with one a token of the student. O(pairs), and
/// allocates nothing.
/// @throws shape_error where a length does not fit.
template <detail::sized_memory X, detail::sized_memory Out>
void largest_of_aligned(const token_alignment& a, const X& x, Out&& out) {
  const any_vector in = detail::view_vector(x);
  detail::of_aligned(a, "x", in, out, [&](std::span<const std::size_t> map) {
    double most = -std::numeric_limits<double>::infinity();
    for (const std::size_t j : map) {
      if (!(in.number(j) <= most)) most = in.number(j);
      if (most != most) break;  // no number
    }
    return most;
  });
}
/// out_i = the mean over map(i) of x_j. See largest_of_aligned().
template <detail::sized_memory X, detail::sized_memory Out>
void mean_of_aligned(const token_alignment& a, const X& x, Out&& out) {
  const any_vector in = detail::view_vector(x);
  detail::of_aligned(a, "x", in, out, [&](std::span<const std::size_t> map) {
    double added = 0;
    for (const std::size_t j : map) added += in.number(j);
    return added / static_cast<double>(map.size());
  });
}

LIMBECK_END_NAMESPACE

#endif
