// Functions of sequences against their definitions: labels, masks, padding, reductions, means, whitening, spans.

#include "catch.hpp"
#include "fault.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/tokens.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(),
                 not_a_number = std::numeric_limits<double>::quiet_NaN();

using limbeck_test::fault;

/// Sequences of 0 to 7 tokens.
lk::segments random_segments(std::size_t sequences, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<std::size_t> lengths(sequences);
  for (auto& n : lengths) n = random.below(8);
  return lk::segments::of_lengths(lengths);
}
std::vector<double> random_numbers(std::size_t n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<double> x(n);
  for (double& v : x) v = random.normal();
  return x;
}
/// Of three rows one does not count, and some count in part.
std::vector<double> random_mask(std::size_t n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<double> m(n);
  for (double& v : m) v = random.below(3) == 0 ? 0 : random.below(2) == 0 ? 1 : random.uniform();
  return m;
}

}  // namespace

TEST_CASE("tokens: segments know their sequences and rows", "[tokens]") {
  const lk::segments s(std::vector<std::size_t>{0, 3, 3, 4, 9});
  CHECK(s == lk::segments::of_lengths(std::vector<int>{3, 0, 1, 5}));
  CHECK(s.size() == 4);
  CHECK(s.rows() == 9);
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) CHECK(s.of_row(r) == i);
  CHECK(lk::segments::padded(3, 4) == lk::segments::of_lengths(std::vector<std::size_t>{4, 4, 4}));
  CHECK(lk::segments().size() == 0);
  CHECK(lk::segments().rows() == 0);
  CHECK(fault<lk::value_error>([] {
          lk::segments(std::vector<std::size_t>{1, 2});
        }) == "limbeck: the first offset of segments is not 0");
  CHECK(fault<lk::value_error>([] {
          lk::segments(std::vector<std::size_t>{0, 5, 4});
        }) == "limbeck: offset 2 of segments is 4, that before it 5");
  CHECK(fault<lk::value_error>([] {
          lk::segments::of_lengths(std::vector<int>{2, -1});
        }) == "limbeck: the length of sequence 1 is -1");
}

TEST_CASE("tokens: labels are one further on, within each sequence", "[tokens]") {
  const auto s = lk::segments::of_lengths(std::vector<int>{3, 0, 1, 2});
  const std::vector<lk::token_id> tokens{5, 6, 7, 8, 9, 4};
  std::vector<std::int64_t> labels(6, 1);
  lk::next_tokens(tokens, s, labels);
  CHECK(labels == std::vector<std::int64_t>{6, 7, -100, -100, 4, -100});
  // in place, and as the view of a padded batch has them
  std::vector<int> own{1, 2, 3, 4, 5, 6};
  const std::vector<int> copy = own;
  lk::next_tokens(own, lk::segments::padded(2, 3), own);
  const auto view = lk::detail::view_vector(lk::next_tokens(copy, 3));
  for (std::size_t r = 0; r < 6; ++r) CHECK(view.integer(r) == own[r]);
  CHECK(fault<lk::shape_error>([&] { lk::next_tokens(tokens, lk::segments::padded(1, 5), labels); }) ==
        "limbeck: tokens has 6 elements, expected 5 (one a row)");
  CHECK(fault<lk::shape_error>([&] { lk::next_tokens(std::vector<int>(7), lk::segments::padded(1, 7), labels); }) ==
        "limbeck: labels has 6 elements, expected 7 (one a row)");
}

TEST_CASE("tokens: the mask of a response are the rows that predict its tokens", "[tokens]") {
  const auto s = lk::segments::of_lengths(std::vector<int>{5, 3, 1, 2, 0});
  std::vector<float> mask(s.rows(), 9);
  CHECK(lk::response_mask(s, std::vector<int>{2, 0, 0, 2, 0}, mask) == 5);
  CHECK(mask == std::vector<float>{0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0});
  // the labels that are left are the tokens of the response, prompt and padding have none
  const auto padded = lk::segments::padded(2, 5);
  std::vector<int> tokens{1, 2, 3, 4, 0, 5, 6, 7, 8, 9}, labels(10), kept;
  std::vector<int> of_padded(10);
  CHECK(lk::response_mask(padded, std::vector<int>{2, 3}, std::vector<int>{4, 5}, of_padded) == 4);
  lk::next_tokens(tokens, padded, labels);
  for (std::size_t r = 0; r < 10; ++r)
    if (of_padded[r]) kept.push_back(labels[r]);
  CHECK(kept == std::vector<int>{3, 4, 8, 9});
  CHECK(fault<lk::value_error>([&] {
          lk::response_mask(s, std::vector<int>{2, 4, 0, 0, 0}, mask);
        }) == "limbeck: prompt_lengths is 4 of sequence 1, expected 0 to 3, its rows");
  CHECK(fault<lk::value_error>([&] {
          lk::response_mask(padded, std::vector<int>{2, 3}, std::vector<int>{-1, 5}, of_padded);
        }) == "limbeck: lengths is -1 of sequence 0, expected 0 to 5, its rows");
  CHECK(fault<lk::shape_error>([&] { lk::response_mask(s, std::vector<int>{2}, mask); }) ==
        "limbeck: prompt_lengths has 1 elements, expected 5 (one a sequence)");
}

TEST_CASE("tokens: packed rows and their places in a padded batch", "[tokens]") {
  for (const bool left : {false, true}) {
    const auto s = random_segments(9, 3);
    const std::size_t time = 8;
    std::vector<std::uint32_t> places(s.rows());
    lk::padded_places(s, {.time = time, .left = left}, places);
    const auto x = random_numbers(s.rows(), 4);
    std::vector<double> padded(s.size() * time), back(s.rows());
    lk::to_padded(x, places, -7, padded);
    for (std::size_t i = 0; i < s.size(); ++i)
      for (std::size_t t = 0; t < time; ++t) {
        const std::size_t pad = time - s.length(i), own = left ? t - pad : t;
        const bool here = left ? t >= pad : t < s.length(i);
        CHECK(padded[i * time + t] == (here ? x[s.begin(i) + own] : -7));
      }
    lk::to_packed(padded, places, back);
    CHECK(back == x);
  }
  const auto s = lk::segments::of_lengths(std::vector<int>{3, 2});
  std::vector<int> places(5), out(4);
  CHECK(fault<lk::value_error>([&] { lk::padded_places(s, {.time = 2}, places); }) ==
        "limbeck: time is 2, and sequence 0 has 3 rows");
  lk::padded_places(s, {.time = 3}, places);
  CHECK(fault<lk::value_error>([&] { lk::to_padded(places, places, 0, out); }) ==
        "limbeck: places is 4 at row 4, expected a row of 4");
  CHECK(fault<lk::value_error>([&] { lk::to_packed(out, places, places); }) ==
        "limbeck: places is 4 at row 4, expected a row of 4");
  CHECK(fault<lk::shape_error>([&] { lk::to_padded(out, places, 0, out); }) ==
        "limbeck: x has 4 elements, expected 5 (one a place)");
}

// Packed or padded, in one call or in micro-batches: the mean over tokens, the mean over sequences, the sum by a count;
// loss and gradient.
TEST_CASE("tokens: a reduction is the same number packed, padded and in micro-batches", "[tokens]") {
  constexpr std::size_t classes = 5, time = 9;
  const lk::objective kl{0.3 * lk::cross_entropy{} + 0.7 * lk::forward_kl{}};
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto s = random_segments(7, seed);
    const auto student = random_numbers(s.rows() * classes, seed + 10),
               teacher = random_numbers(s.rows() * classes, seed + 20);
    const auto mask = random_mask(s.rows(), seed + 30);
    std::vector<int> labels(s.rows());
    for (std::size_t r = 0; r < labels.size(); ++r) labels[r] = static_cast<int>(r * 3 % classes);
    std::vector<double> row_loss(s.rows());
    const auto view = [&](const std::vector<double>& x, std::size_t first, std::size_t n) {
      return lk::rows<const double>(x.data() + first * classes, n, classes);
    };
    kl.value(view(student, 0, s.rows()), view(teacher, 0, s.rows()), labels, lk::sum, lk::row_losses(row_loss));

    std::vector<std::size_t> places(s.rows());
    lk::padded_places(s, {.time = time, .left = seed % 2 == 0}, places);
    std::vector<double> wide_student(s.size() * time * classes, 3), wide_teacher(wide_student.size(), 1),
        wide_mask(s.size() * time);
    std::vector<int> wide_labels(s.size() * time);
    lk::to_padded(mask, places, 0, wide_mask);
    lk::to_padded(labels, places, -100, wide_labels);
    for (std::size_t r = 0; r < s.rows(); ++r)
      for (std::size_t c = 0; c < classes; ++c) {
        wide_student[places[r] * classes + c] = student[r * classes + c];
        wide_teacher[places[r] * classes + c] = teacher[r * classes + c];
      }
    const auto padded = lk::segments::padded(s.size(), time);

    for (const int which : {0, 1, 2}) {
      const double count = 31;
      const auto weigh = [&](const lk::segments& of, const std::vector<double>& m, std::vector<double>& w) {
        return which == 0   ? lk::token_weights(of, m, lk::per_token, w)
               : which == 1 ? lk::token_weights(of, m, lk::per_sequence, w)
                            : lk::token_weights(of, m, lk::per_count(count), w);
      };
      // the definition
      long double expected = 0, tokens = 0, sequences = 0;
      for (std::size_t i = 0; i < s.size(); ++i) {
        long double sum = 0, weight = 0;
        for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
          sum += static_cast<long double>(mask[r]) * row_loss[r];
          weight += mask[r];
        }
        tokens += weight;
        sequences += weight > 0;
        expected += which == 1 ? (weight > 0 ? sum / weight : 0) : sum;
      }
      const long double whole = which == 0 ? tokens : which == 1 ? sequences : 1;
      expected /= which == 2 ? count : whole;

      std::vector<double> w(s.rows()), wide_w(s.size() * time);
      const double total = weigh(s, mask, w), wide_total = weigh(padded, wide_mask, wide_w);
      CHECK(wide_total == Approx(total).epsilon(1e-14));
      if (which < 2) CHECK(total == Approx(static_cast<double>(whole)).epsilon(1e-14));
      std::vector<double> slope(s.rows() * classes), wide_slope(wide_student.size()), part_slope(s.rows() * classes);
      const auto over = which == 2 ? lk::sum : lk::mean;
      lk::workspace ws;
      const double packed = kl(view(student, 0, s.rows()), view(teacher, 0, s.rows()), labels, lk::row_weights(w), over,
                               lk::into(lk::rows<double>(slope.data(), s.rows(), classes)), ws);
      const double wide = kl(view(wide_student, 0, s.size() * time), view(wide_teacher, 0, s.size() * time),
                             wide_labels, lk::row_weights(wide_w), over,
                             lk::into(lk::rows<double>(wide_slope.data(), s.size() * time, classes)), ws);
      CHECK(packed == Approx(static_cast<double>(expected)).epsilon(1e-12));
      CHECK(wide == Approx(packed).epsilon(1e-12));
      double parts = 0;
      for (std::size_t first = 0; first < s.size(); first += 2) {  // two sequences a micro-batch, weighed on their own
        const std::size_t last = (std::min)(first + 2, s.size()), at = s.begin(first), n = s.end(last - 1) - at;
        std::vector<std::size_t> lengths;
        for (std::size_t i = first; i < last; ++i) lengths.push_back(s.length(i));
        const std::vector<double> own(mask.begin() + static_cast<std::ptrdiff_t>(at),
                                      mask.begin() + static_cast<std::ptrdiff_t>(at + n));
        const std::vector<int> y(labels.begin() + static_cast<std::ptrdiff_t>(at),
                                 labels.begin() + static_cast<std::ptrdiff_t>(at + n));
        std::vector<double> weights(n);
        weigh(lk::segments::of_lengths(lengths), own, weights);
        parts += kl(view(student, at, n), view(teacher, at, n), y, lk::row_weights(weights),
                    which == 2 ? lk::sum : lk::mean_over(total),
                    lk::into(lk::rows<double>(part_slope.data() + at * classes, n, classes)), ws);
      }
      CHECK(parts == Approx(packed).epsilon(1e-12));
      double worst = 0;
      for (std::size_t r = 0; r < s.rows(); ++r)
        for (std::size_t c = 0; c < classes; ++c) {
          worst = (std::max)(worst, std::abs(part_slope[r * classes + c] - slope[r * classes + c]));
          worst = (std::max)(worst, std::abs(wide_slope[places[r] * classes + c] - slope[r * classes + c]));
        }
      CHECK(worst < 1e-14);
    }
  }
  std::vector<double> w(2);
  const auto s = lk::segments::padded(1, 2);
  CHECK(fault<lk::value_error>([&] {
          lk::token_weights(s, std::vector<double>{1, -1}, lk::per_token, w);
        }) == "limbeck: mask is -1 at row 1, expected a finite number that is at least 0");
  CHECK(fault<lk::value_error>([&] {
          lk::token_weights(s, std::vector<double>{not_a_number, 1}, lk::per_token, w);
        }) == "limbeck: mask is nan at row 0, expected a finite number that is at least 0");
  CHECK(fault<lk::value_error>([&] { lk::per_count(0); }) == "limbeck: per_count is 0, expected a positive number");
  CHECK(fault<lk::shape_error>([&] { lk::token_weights(s, std::vector<double>{1}, lk::per_token, w); }) ==
        "limbeck: mask has 1 elements, expected 2 (one a row)");
}

TEST_CASE("tokens: means and sums of sequences, and back", "[tokens]") {
  const auto s = random_segments(12, 5);
  auto x = random_numbers(s.rows(), 6);
  const auto mask = random_mask(s.rows(), 7);
  for (std::size_t r = 0; r < s.rows(); ++r)
    if (mask[r] == 0) x[r] = not_a_number;  // does not count
  std::vector<double> means(s.size()), sums(s.size()), back(s.rows());
  lk::sequence_means(x, s, mask, means);
  lk::sequence_sums(x, s, mask, sums);
  lk::to_tokens(means, s, back);
  for (std::size_t i = 0; i < s.size(); ++i) {
    long double sum = 0, weight = 0;
    for (std::size_t r = s.begin(i); r < s.end(i); ++r)
      if (mask[r] > 0) sum += static_cast<long double>(mask[r]) * x[r], weight += mask[r];
    CHECK(sums[i] == Approx(static_cast<double>(sum)).margin(1e-15));
    CHECK(means[i] == Approx(weight > 0 ? static_cast<double>(sum / weight) : 0).margin(1e-15));
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) CHECK(back[r] == means[i]);
  }
  CHECK(fault<lk::shape_error>([&] { lk::to_tokens(back, s, back); }).find("limbeck: numbers has") == 0);
  CHECK(fault<lk::shape_error>([&] { lk::sequence_means(means, s, mask, means); }).find("limbeck: x has 12 elements") ==
        0);
}

TEST_CASE("tokens: whitened numbers have mean 0 and variance 1 over the mask", "[tokens]") {
  auto x = random_numbers(40, 8);
  auto mask = random_mask(40, 9);
  mask[0] = 0;
  x[0] = infinity;  // padding
  std::vector<double> out(40);
  lk::whitened(x, mask, out);
  long double weight = 0, mean = 0, variance = 0;
  for (std::size_t r = 0; r < 40; ++r)
    weight += mask[r], mean += mask[r] > 0 ? mask[r] * static_cast<long double>(x[r]) : 0;
  mean /= weight;
  for (std::size_t r = 1; r < 40; ++r) variance += mask[r] * (x[r] - mean) * (x[r] - mean);
  variance /= weight;
  for (std::size_t r = 1; r < 40; ++r)
    CHECK(out[r] ==
          Approx(mask[r] == 0 ? 0 : static_cast<double>((x[r] - mean) / std::sqrt(variance + 1e-8L))).epsilon(1e-12));
  CHECK(out[0] == 0);
  // padding changes nothing, and all alike are 0
  std::vector<double> longer = x, more = mask, wide(45);
  longer.resize(45, 1e6);
  more.resize(45, 0);
  lk::whitened(longer, more, wide);
  for (std::size_t r = 0; r < 40; ++r) CHECK(wide[r] == out[r]);
  std::vector<float> same(3, 2), ones(3, 1);
  lk::whitened(same, ones, same);
  CHECK(same == std::vector<float>{0, 0, 0});
  CHECK(fault<lk::value_error>([&] {
          lk::whitened(std::vector<double>{1, infinity}, std::vector<int>{1, 1}, std::vector<double>(2));
        }) == "limbeck: x is inf at row 1, expected a finite number");
  CHECK(fault<lk::value_error>([&] { lk::whitened(x, mask, out, 0); }) ==
        "limbeck: epsilon is 0, expected a positive number");
}

TEST_CASE("tokens: spans inside of sequences are segments", "[tokens]") {
  const auto s = lk::segments::of_lengths(std::vector<int>{4, 0, 3});
  const std::vector<int> starts{0, 0, 1, 1, 0, 0, 1};
  const auto words = lk::spans(s, starts);
  CHECK(std::vector<std::size_t>(words.offsets().begin(), words.offsets().end()) ==
        std::vector<std::size_t>{0, 2, 3, 4, 6, 7});
  CHECK(lk::spans(s, std::vector<int>(7)) == lk::segments::of_lengths(std::vector<int>{4, 3}));
  CHECK(lk::spans(lk::segments(), std::vector<int>()).size() == 0);
  CHECK(fault<lk::shape_error>([&] { lk::spans(s, std::vector<int>(6)); }) ==
        "limbeck: starts has 6 elements, expected 7 (one a row)");
}
