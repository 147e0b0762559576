#ifndef LIMBECK_TOKENS_SKEW_CURRICULUM_HPP
#define LIMBECK_TOKENS_SKEW_CURRICULUM_HPP

/// @file
/// DistiLLM-2: how far each sequence's distributions are mixed, by how far student and teacher are apart on it.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/rows.hpp>

#include <cmath>
#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Settings of `skew_curriculum`.
struct skew_curriculum_options {
  double base = 0.1;      ///< alpha at first, and the largest, in (0, 1)
  double least = 0.01;    ///< the smallest, in [0, base]
  double epsilon = 1e-5;  ///< added to a gap that is divided by
};

/// The alpha of each sequence in a skew divergence (curriculum-based adaptive learning, CALD): large where writer and
/// reader are as far apart as they were at first, small where they have come near.
///
/// Of sequence s, with the mean losses (negative log-likelihoods) of its tokens under the model that wrote it and under
/// the other, g_s = exp(-writer_s) - exp(-reader_s). With m the mean of g at the first step, alpha_s = clip(1 - (1 -
/// base) m/(g_s + epsilon), least, base); before it is known, base. One object for `skew_kl` on what the teacher wrote,
/// and one for `skew_reverse_kl` on what the student wrote; the numbers go to rows by to_tokens() and into the losses
/// by `with<&skew_kl::alpha>(given(alphas), skew_kl{})`.
///
/// Ko et al., DistiLLM-2, 2025, arXiv:2503.07067, and the authors' code, in which the switch is off, and on, the first
/// gap is never read (it is looked for in another table than it is written to, and the error is caught), so that alpha
/// stays at base. The formula is the code's.
class skew_curriculum {
 public:
  /// @throws value_error where an option is outside its range.
  explicit skew_curriculum(const skew_curriculum_options& options = {}) : options_(options) {
    const auto check = [](bool good, const char* name, double x, const char* expected) {
      if (!good)
        raise<value_error>(std::string("limbeck: ") + name + " of skew_curriculum is " + detail::show(x) +
                           ", expected " + expected);
    };
    check(options.base > 0 && options.base < 1, "base", options.base, "a number in (0, 1)");
    check(options.least >= 0 && options.least <= options.base, "least", options.least, "a number in [0, base]");
    check(options.epsilon >= 0 && options.epsilon - options.epsilon == 0, "epsilon", options.epsilon,
          "a number that is at least 0");
  }
  /// Writes the alphas of sequences; returns the mean of their gaps (0 of none), for update(). @p writer, @p reader and
  /// @p out are any vectors of numbers with one a sequence. O(sequences), and allocates nothing.
  /// @throws value_error where a loss is NaN, shape_error where lengths differ.
  template <detail::sized_memory Writer, detail::sized_memory Reader, detail::sized_memory Out>
  double alphas(const Writer& writer, const Reader& reader, Out&& out) const {
    const any_vector mine = detail::view_vector(writer), other = detail::view_vector(reader);
    if (other.size() != mine.size()) detail::throw_length("reader", other.size(), mine.size(), "one a sequence");
    const auto to = detail::output_vector("out", out, mine.size(), "one a sequence");
    double added = 0;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const double gap = std::exp(-mine.number(i)) - std::exp(-other.number(i));
      if (gap != gap) raise<value_error>("limbeck: the loss of sequence " + std::to_string(i) + " is nan");
      added += gap;
      const double a = known_ ? 1 - (1 - options_.base) * first_ / (gap + options_.epsilon) : options_.base;
      detail::put(to, i, a < options_.least ? options_.least : a < options_.base ? a : options_.base);
    }
    return mine.size() == 0 ? 0 : added / static_cast<double>(mine.size());
  }
  /// To be called after each step with the mean of the gaps over its sequences, of all micro-batches; the first is
  /// kept. @throws value_error where it is not finite.
  void update(double mean_gap) {
    if (mean_gap - mean_gap != 0)
      raise<value_error>("limbeck: the gap given to skew_curriculum is " + detail::show(mean_gap) +
                         ", expected a finite number");
    if (!known_) first_ = mean_gap;
    known_ = true;
  }
  /// Saves or restores the state.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("known", known_);
    archive("first", first_);
  }
  /// Its settings in words.
  std::string describe() const {
    return "skew_curriculum(base " + detail::digits(options_.base) + ", least " + detail::digits(options_.least) +
           ", epsilon " + detail::digits(options_.epsilon) + ')';
  }

 private:
  skew_curriculum_options options_;
  bool known_ = false;
  double first_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
