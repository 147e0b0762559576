// Which tokens: shares by count, prefixes of entropy, tokens of two tokenizers; and what follows the run.

#include "catch.hpp"
#include "fault.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/selection/top_share.hpp>
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

/// Numbers as a checkpoint would keep them.
struct memory_archive {
  std::vector<double>* numbers;
  bool writes;
  std::size_t at = 0;
  template <class T>
  void operator()(const char*, T& x) {
    if (writes)
      numbers->push_back(static_cast<double>(x));
    else
      x = static_cast<T>((*numbers)[at++]);
  }
};
template <class State>
State restored(State from, State into) {
  std::vector<double> numbers;
  memory_archive out{&numbers, true}, in{&numbers, false};
  from.serialize(out);
  into.serialize(in);
  return into;
}

std::vector<lk::character_span> cut(std::size_t characters, lk::random_stream& random) {
  std::vector<lk::character_span> tokens;
  for (std::size_t at = 0; at < characters;) {
    if (random.below(6) == 0) tokens.push_back({0, 0});  // stands for nothing
    const std::size_t gap = random.below(5) == 0 ? 1 : 0, begin = at + gap,
                      end = (std::min)(characters, begin + 1 + random.below(4));
    if (begin < end) tokens.push_back({begin, end});
    at = end;
  }
  return tokens;
}

}  // namespace

TEST_CASE("tokens: a share by count, ties to the lowest place", "[tokens]") {
  lk::random_stream random(1);
  lk::workspace ws;
  for (const std::size_t n : {1U, 2U, 10U, 37U})
    for (const double share : {0.0, 0.1, 0.4, 0.5, 1.0}) {
      std::vector<double> x(n), used(n), mask(n, 9);
      for (double& v : x) v = std::floor(3 * random.normal());
      for (double& v : used) v = random.below(4) == 0 ? 0 : 1;
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < n; ++i) {
        if (used[i] != 0)
          order.push_back(i);
        else
          x[i] = not_a_number;
      }
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
      const std::size_t keep =
          order.empty()
              ? 0
              : (std::max)(std::size_t{1}, static_cast<std::size_t>(share * static_cast<double>(order.size())));
      std::vector<double> expected(n, 0);
      for (std::size_t k = 0; k < keep; ++k) expected[order[k]] = 1;
      CHECK(lk::top_share_mask(x, share, used, mask, ws) == keep);
      CHECK(mask == expected);
    }
  std::vector<float> mask(3);
  CHECK(lk::top_share_mask(std::vector<double>{-infinity, infinity, 0}, 0.7, mask, ws) == 2);
  CHECK(mask == std::vector<float>{0, 1, 1});
  CHECK(lk::top_share_mask(std::vector<double>{1, 2, 3}, 1, std::vector<int>(3), mask, ws) == 0);
  CHECK(mask == std::vector<float>(3));
  CHECK(fault<lk::value_error>([&] {
          lk::top_share_mask(std::vector<double>{1, not_a_number, 3}, 1, mask, ws);
        }) == "limbeck: the value at position 1 is nan");
  CHECK(fault<lk::value_error>([&] { lk::top_share_mask(mask, 1.5, mask, ws); }) ==
        "limbeck: share is 1.5, expected a fraction in [0, 1]");
  CHECK(fault<lk::shape_error>([&] { lk::top_share_mask(std::vector<double>(4), 1, mask, ws); }) ==
        "limbeck: mask has 3 elements, expected 4 (one a row)");
}

TEST_CASE("tokens: the kept ratio follows the loss", "[tokens]") {
  // the authors' loop, with their words
  const auto theirs = [](const std::vector<double>& losses, std::uint64_t warm_up, double eps, double sigma) {
    std::vector<double> ratios;
    double ema = 0, mark = 0, ratio = 1;
    bool marked = false;
    for (std::size_t n = 0; n < losses.size(); ++n) {
      ema = n == 0 ? losses[n] : 0.99 * ema + 0.01 * losses[n];
      if (marked) {
        const double fall = mark - ema;
        if (fall < -eps * mark)
          ratio = (std::min)(1.0, ratio * (1 + sigma)), mark = ema;
        else if (fall > eps * mark)
          ratio = (std::max)(0.1, ratio * (1 - sigma)), mark = ema;
      } else if (n + 1 > warm_up) {
        marked = true, mark = ema;
      }
      ratios.push_back(ratio);
    }
    return ratios;
  };
  std::vector<double> losses;
  lk::random_stream random(3);
  for (std::size_t n = 0; n < 3000; ++n)
    losses.push_back((n < 2200 ? 4 * std::exp(-static_cast<double>(n) / 300) : 3.0) + 0.1 * random.uniform());
  for (const std::uint64_t warm_up : {0U, 150U}) {
    const auto expected = theirs(losses, warm_up, 0.05, 0.05);
    lk::kept_ratio c({.warm_up = warm_up}), halfway({.warm_up = warm_up});
    for (std::size_t n = 0; n < losses.size(); ++n) {
      c.update(losses[n]);
      if (n == 1000) halfway = restored(c, lk::kept_ratio({.warm_up = warm_up}));
      if (n > 1000) halfway.update(losses[n]);
      REQUIRE(c.ratio() == Approx(expected[n]).epsilon(1e-13));
    }
    CHECK(halfway.ratio() == c.ratio());
    CHECK(*std::min_element(expected.begin(), expected.end()) == 0.1);
    CHECK(c.ratio() > 0.1);
  }
  lk::kept_ratio c;
  CHECK(fault<lk::value_error>([&] { c.update(infinity); }) ==
        "limbeck: the loss given to kept_ratio is inf, expected a finite number");
  CHECK(fault<lk::value_error>([] { lk::kept_ratio({.least = 0}); }) ==
        "limbeck: least of kept_ratio is 0, expected a number in (0, 1]");
  CHECK(fault<lk::value_error>([] { lk::kept_ratio({.momentum = 1}); }) ==
        "limbeck: momentum of kept_ratio is 1, expected a number in [0, 1)");
  CHECK(c.describe() == "kept_ratio(warm_up 0, tolerance 0.05, step 0.05, momentum 0.99, least 0.1)");
}

TEST_CASE("tokens: the prefix with a share of the entropy, of each sequence", "[tokens]") {
  const auto s = lk::segments::of_lengths(std::vector<int>{4, 2, 0, 3});
  const std::vector<double> h{1, 1, 1, 7, 5, 5, 0, 0, 0};
  std::vector<int> out(9, 9);
  CHECK(lk::prefix_of_mass(h, s, 0.25, out) == 2);  // 1 + 1 of 10; the third reaches a quarter
  CHECK(out == std::vector<int>{1, 1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(lk::prefix_of_mass(h, s, 1, out) == 4);  // all but the last
  CHECK(lk::prefix_of_mass(h, s, 0, out) == 0);
  const std::vector<double> g{not_a_number, 1, 1, 8, 2, 6, 0, 0, 0};
  CHECK(lk::prefix_of_mass(g, s, 0.3, std::vector<int>{0, 1, 1, 1, 1, 1, 1, 1, 0}, out) == 3);
  CHECK(out == std::vector<int>{0, 1, 1, 0, 1, 0, 0, 0, 0});
  CHECK(fault<lk::value_error>([&] { lk::prefix_of_mass(g, s, 0.3, out); }) ==
        "limbeck: x is nan at row 0, expected a finite number that is at least 0");
  CHECK(fault<lk::value_error>([&] { lk::prefix_of_mass(h, s, -1, out); }) ==
        "limbeck: share is -1, expected a fraction in [0, 1]");
}

TEST_CASE("tokens: two tokenizers are lined up by the characters they share", "[tokens]") {
  lk::random_stream random(7);
  lk::token_alignment all;
  std::vector<std::vector<std::size_t>> expected;
  std::size_t seen = 0;
  for (int text = 0; text < 40; ++text) {
    const std::size_t characters = random.below(30);
    const auto mine = cut(characters, random), theirs = cut(characters, random);
    all.append(mine, theirs);
    for (const auto& a : mine) {
      expected.emplace_back();
      for (std::size_t j = 0; j < theirs.size(); ++j)
        if ((std::max)(a.begin, theirs[j].begin) < (std::min)(a.end, theirs[j].end))
          expected.back().push_back(seen + j);
    }
    seen += theirs.size();
  }
  REQUIRE(all.size() == expected.size());
  REQUIRE(all.teacher_tokens() == seen);
  std::vector<double> x(seen), largest(all.size()), means(all.size());
  for (double& v : x) v = random.normal();
  lk::largest_of_aligned(all, x, largest);
  lk::mean_of_aligned(all, x, means);
  std::size_t unmapped = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    REQUIRE(std::vector<std::size_t>(all[i].begin(), all[i].end()) == expected[i]);
    double most = expected[i].empty() ? 0 : -infinity, sum = 0;
    for (const std::size_t j : expected[i]) most = (std::max)(most, x[j]), sum += x[j];
    unmapped += expected[i].empty();
    CHECK(largest[i] == most);
    CHECK(means[i] == Approx(expected[i].empty() ? 0 : sum / static_cast<double>(expected[i].size())).margin(1e-15));
  }
  CHECK(unmapped > 0);
  // a character of several bytes, each of which is a token with the offsets of all
  const std::vector<lk::character_span> bytes{{0, 1}, {0, 1}, {1, 3}}, whole{{0, 3}}, odd{{2, 3}, {0, 1}};
  const auto a = lk::aligned(bytes, whole), b = lk::aligned(whole, bytes);
  CHECK(a.size() == 3);
  CHECK(a[1].size() == 1);
  CHECK(b[0].size() == 3);
  CHECK(fault<lk::value_error>([&] { lk::aligned(whole, odd); }) ==
        "limbeck: token 1 of the teacher has characters 0 to 1, expected them in order, behind 2 to 3");
  CHECK(fault<lk::shape_error>([&] {
          lk::largest_of_aligned(a, means, largest);
        }).find("(one a token of the teacher)") != std::string::npos);
}

TEST_CASE("tokens: the gap to a teacher with another tokenizer", "[tokens]") {
  const std::vector<lk::character_span> mine{{0, 2}, {2, 4}, {4, 6}, {0, 0}, {6, 8}}, theirs{{0, 1}, {1, 4}, {4, 8}};
  const auto a = lk::aligned(mine, theirs);
  const std::vector<double> student{3, 2, 5, 9, 1}, teacher{1, 2, 4};  // gaps 1, 0, 1, none, -3
  std::vector<int> mask(5), used(5, 1);
  CHECK(lk::aligned_gap{.keep = 0.5}(student, teacher, a, used, mask) == 3);
  CHECK(mask == std::vector<int>{1, 0, 1, 1, 0});
  CHECK(lk::aligned_gap{.keep = 1}(student, teacher, a, std::vector<int>{1, 1, 0, 0, 1}, mask) == 3);
  CHECK(mask == std::vector<int>{1, 1, 0, 0, 1});
  CHECK(lk::aligned_gap{}(student, teacher, a, std::vector<int>{0, 0, 0, 1, 0}, mask) == 1);
  // one tokenizer for both: the reference gap
  std::vector<lk::character_span> same;
  std::vector<double> s, t, u(50), one(50, 1), other(50);
  lk::random_stream random(9);
  for (std::size_t i = 0; i < 50; ++i)
    same.push_back({i, i + 1}), s.push_back(random.normal()), t.push_back(random.normal());
  CHECK(lk::aligned_gap{}(s, t, lk::aligned(same, same), one, u) == lk::reference_gap{}(s, t, other));
  CHECK(u == other);
  CHECK(fault<lk::value_error>([&] { lk::aligned_gap{.keep = 2}(student, teacher, a, used, mask); }) ==
        "limbeck: keep is 2, expected a fraction in [0, 1]");
}

TEST_CASE("tokens: alphas that follow the gap of each sequence", "[tokens]") {
  const std::vector<double> writer{-std::log(0.5), -std::log(0.4), -std::log(0.3), -std::log(0.2)},
      reader{-std::log(0.3), -std::log(0.39), -std::log(0.4), -std::log(0.2)};
  std::vector<double> out(4);
  lk::skew_curriculum c;
  const double mean = c.alphas(writer, reader, out);
  CHECK(out == std::vector<double>(4, 0.1));
  CHECK(mean == Approx((0.2 + 0.01 - 0.1 + 0) / 4));
  c.update(mean);
  c.update(5);  // the first is kept
  c = restored(c, lk::skew_curriculum());
  c.alphas(writer, reader, out);
  for (std::size_t i = 0; i < 4; ++i) {
    const double g = std::exp(-writer[i]) - std::exp(-reader[i]);
    CHECK(out[i] == Approx(std::clamp(1 - 0.9 * mean / (g + 1e-5), 0.01, 0.1)));
  }
  CHECK(out[0] == 0.1);
  CHECK(out[1] == 0.01);
  // as far apart as at first: base, up to epsilon
  lk::skew_curriculum exact({.epsilon = 0});
  const std::vector<double> once{-std::log(0.5)}, there{-std::log(0.25)};
  std::vector<double> alpha(1);
  exact.update(exact.alphas(once, there, alpha));
  exact.alphas(once, there, alpha);
  CHECK(alpha[0] == Approx(0.1).epsilon(1e-14));
  CHECK(fault<lk::value_error>([&] { c.alphas(std::vector<double>{not_a_number}, once, alpha); }) ==
        "limbeck: the loss of sequence 0 is nan");
  CHECK(fault<lk::value_error>([&] { c.update(not_a_number); }) ==
        "limbeck: the gap given to skew_curriculum is nan, expected a finite number");
  CHECK(fault<lk::value_error>([] { lk::skew_curriculum({.least = 0.2}); }) ==
        "limbeck: least of skew_curriculum is 0.2, expected a number in [0, base]");
  CHECK(c.describe() == "skew_curriculum(base 0.1, least 0.01, epsilon 1e-05)");
}
