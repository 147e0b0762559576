// Losses of sequences made of parts, against their formulas written out.

#include "catch.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/tokens.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t classes = 6;

/// Logits of some sequences, what was written, and which of its tokens are the response.
struct answers {
  lk::segments s = lk::segments::of_lengths(std::vector<int>{4, 7, 2, 5});
  std::vector<double> student, teacher, mask;
  std::vector<int> labels;
  answers(std::uint64_t seed, bool teacher_wrote) : mask(s.rows()) {
    lk::random_stream random(seed);
    for (std::size_t i = 0; i < s.rows() * classes; ++i)
      student.push_back(random.normal()), teacher.push_back(2 * random.normal());
    const auto& writer =
        teacher_wrote ? teacher : student;  // greedily: each token is the likeliest behind the one before
    std::vector<int> tokens(s.rows(), 0);
    for (std::size_t r = 0; r + 1 < s.rows(); ++r) {
      const auto row = writer.begin() + static_cast<std::ptrdiff_t>(r * classes);
      tokens[r + 1] = static_cast<int>(std::max_element(row, row + classes) - row);
    }
    labels = tokens;
    lk::next_tokens(tokens, s, labels);
    lk::response_mask(s, std::vector<int>{1, 3, 1, 0}, mask);
  }
  lk::rows<const double> q() const { return {student.data(), s.rows(), classes}; }
  lk::rows<const double> p() const { return {teacher.data(), s.rows(), classes}; }
  /// Mean loss of each sequence's response.
  std::vector<double> losses(const lk::rows<const double>& of) const {
    std::vector<double> each(s.rows()), out(s.size());
    lk::objective{lk::cross_entropy{}}.value(of, labels, lk::row_mask(mask), lk::sum, lk::row_losses(each));
    lk::sequence_means(each, s, mask, out);
    return out;
  }
};

std::vector<long double> softmax(const lk::rows<const double>& z, std::size_t r) {
  std::vector<long double> p(classes);
  long double sum = 0;
  for (std::size_t c = 0; c < classes; ++c) sum += p[c] = std::exp(static_cast<long double>(z(r, c)));
  for (auto& x : p) x /= sum;
  return p;
}

}  // namespace

TEST_CASE("tokens: DistiLLM-2's step, on what the teacher and what the student wrote", "[tokens]") {
  const answers of_teacher(1, true), of_student(2, false);
  lk::skew_curriculum skew, reverse;
  for (const double progress : {0.0, 0.25, 0.5, 1.0}) {
    const auto side = [&](const answers& a, lk::skew_curriculum& curriculum, bool teacher_wrote,
                          const auto& loss_with) {
      const auto mine = a.losses(teacher_wrote ? a.p() : a.q()), other = a.losses(teacher_wrote ? a.q() : a.p());
      std::vector<double> alphas(a.s.size()), of_tokens(a.s.rows()), weights(a.s.rows());
      const double gap = curriculum.alphas(mine, other, alphas);
      lk::to_tokens(alphas, a.s, of_tokens);
      lk::token_weights(a.s, a.mask, lk::per_sequence, weights);
      const auto loss = lk::objective{loss_with(of_tokens)};
      const double value = loss.value(a.q(), a.p(), lk::row_weights(weights), lk::progress(progress));
      // the formula, of the same first gap
      long double expected = 0, first = 0, alpha_sum = 0;
      std::vector<long double> g(a.s.size());
      for (std::size_t i = 0; i < a.s.size(); ++i) {
        long double writer = 0, reader = 0, tokens = 0;
        for (std::size_t r = a.s.begin(i); r < a.s.end(i); ++r) {
          if (a.mask[r] == 0) continue;
          const auto p = softmax(a.p(), r), q = softmax(a.q(), r);
          const auto y = static_cast<std::size_t>(a.labels[r]);
          writer += std::log(teacher_wrote ? p[y] : q[y]), reader += std::log(teacher_wrote ? q[y] : p[y]), tokens += 1;
        }
        g[i] = std::exp(writer / tokens) - std::exp(reader / tokens);
        first += g[i] / static_cast<long double>(a.s.size());
      }
      for (std::size_t i = 0; i < a.s.size(); ++i) {
        const long double alpha = progress == 0 ? 0.1L : std::clamp(1 - 0.9L * first / (g[i] + 1e-5L), 0.01L, 0.1L);
        long double sum = 0, tokens = 0;
        for (std::size_t r = a.s.begin(i); r < a.s.end(i); ++r) {
          if (a.mask[r] == 0) continue;
          const auto p = softmax(a.p(), r), q = softmax(a.q(), r);
          for (std::size_t c = 0; c < classes; ++c)
            sum += teacher_wrote ? p[c] * std::log(p[c] / (alpha * p[c] + (1 - alpha) * q[c]))
                                 : q[c] * std::log(q[c] / ((1 - alpha) * p[c] + alpha * q[c]));
          tokens += 1;
        }
        expected += sum / tokens / static_cast<long double>(a.s.size());
        alpha_sum += alpha;
      }
      const long double beta = 1 + 0.5L * std::min(1.0L, 2 * static_cast<long double>(progress));
      expected *= teacher_wrote ? 2 - beta : beta;
      CHECK(value == Approx(static_cast<double>(expected)).epsilon(1e-12));
      CHECK(gap == Approx(static_cast<double>(first)).epsilon(1e-12));
      if (progress > 0) CHECK(alpha_sum < 0.1L * static_cast<long double>(a.s.size()));  // some have come nearer
      curriculum.update(gap);
    };
    side(of_teacher, skew, true, [](const auto& alphas) {
      return lk::piecewise({{0, 1.0}, {0.5, 0.5}}) * lk::with<&lk::skew_kl::alpha>(lk::given(alphas), lk::skew_kl{});
    });
    side(of_student, reverse, false, [](const auto& alphas) {
      return lk::piecewise({{0, 1.0}, {0.5, 1.5}}) *
             lk::with<&lk::skew_reverse_kl::alpha>(lk::given(alphas), lk::skew_reverse_kl{});
    });
  }
}
