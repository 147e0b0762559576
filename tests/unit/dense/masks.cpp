// Masks of pictures against their naive definitions: boundaries, boxes, patches, regions, and which boxes to keep.

#include "catch.hpp"
#include "fault.hpp"

#include <limbeck/dense.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(),
                 not_a_number = std::numeric_limits<double>::quiet_NaN();

using limbeck_test::fault;

std::vector<int> random_labels(std::size_t n, std::size_t classes, double ignored, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<int> labels(n);
  for (int& y : labels) y = random.uniform() < ignored ? -100 : static_cast<int>(random.below(classes));
  return labels;
}
std::vector<double> random_numbers(std::size_t n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<double> x(n);
  for (double& v : x) v = random.normal();
  return x;
}

}  // namespace

TEST_CASE("dense: boundaries are dilation less erosion, class by class", "[dense]") {
  const std::size_t height = 5, width = 7, classes = 3, pictures = 2, positions = height * width;
  for (const std::size_t radius : {0U, 1U, 2U, 9U})
    for (const double ignored : {0.0, 0.2}) {
      const auto labels = random_labels(pictures * positions, classes, ignored, 1 + radius);
      const lk::boundary of{.height = height, .width = width, .radius = radius};
      std::vector<float> memory(labels.size() * classes, 9), any(labels.size(), 9);
      const lk::rows<float> mask(memory.data(), labels.size(), classes);
      lk::class_boundary_mask(labels, of, mask);
      const std::size_t count = lk::boundary_mask(labels, of, any);
      std::size_t expected_count = 0;
      for (std::size_t n = 0; n < pictures; ++n)
        for (std::size_t y = 0; y < height; ++y)
          for (std::size_t x = 0; x < width; ++x) {
            const std::size_t p = n * positions + y * width + x;
            bool edge = false;
            for (std::size_t c = 0; c < classes; ++c) {
              int dilated = 0, eroded = 1;  // max and min of the one-hot map over the window
              for (std::size_t j = 0; j < height; ++j)
                for (std::size_t i = 0; i < width; ++i) {
                  const auto apart = [](std::size_t a, std::size_t b) { return a < b ? b - a : a - b; };
                  const int label = labels[n * positions + j * width + i];
                  if (label == -100 || apart(i, x) > radius || apart(j, y) > radius) continue;
                  const int is = label == static_cast<int>(c) ? 1 : 0;
                  dilated = std::max(dilated, is);
                  eroded = std::min(eroded, is);
                }
              const int expected = labels[p] == -100 ? 0 : dilated - eroded;
              CHECK(mask(p, c) == static_cast<float>(expected));
              edge = edge || expected > 0;
            }
            CHECK(any[p] == (edge ? 1.0f : 0.0f));
            expected_count += edge;
          }
      CHECK(count == expected_count);
    }

  // one class has no boundary, nor does the border of a picture; two halves meet in a band of 2 radius
  const std::vector<int> same(positions, 1);
  std::vector<int> halves(4 * 6);
  for (std::size_t p = 0; p < halves.size(); ++p) halves[p] = p % 6 < 3 ? 0 : 2;
  std::vector<double> mask(positions), band(halves.size());
  CHECK(lk::boundary_mask(same, {.height = height, .width = width}, mask) == 0);
  CHECK(lk::boundary_mask(halves, {.height = 4, .width = 6, .radius = 1}, band) == 8);

  std::vector<float> three(3 * positions);
  const lk::rows<float> out(three.data(), positions, 3);
  const std::vector<int> wrong(positions, 3);
  CHECK(fault<lk::value_error>([&] { lk::class_boundary_mask(wrong, {.height = height, .width = width}, out); }) ==
        "limbeck: labels is 3 at position 0, expected 0 to 2, or -100 for none");
  CHECK(fault<lk::value_error>([&] {
          lk::class_boundary_mask(wrong, {.height = height, .width = width}, lk::rows<float>(three.data(), positions, 0));
        }) == "limbeck: labels is 3 at position 0, expected none, for there are 0, or -100 for none");
  std::vector<int> late(positions, 0);
  late.back() = 7;
  std::fill(three.begin(), three.end(), 5.0f);
  CHECK_THROWS_AS(lk::class_boundary_mask(late, {.height = height, .width = width}, out), lk::value_error);
  CHECK(three == std::vector<float>(three.size(), 5));  // nothing was written

  // a window of 400 positions and a mask of bytes
  std::vector<int> wide(400);
  for (std::size_t p = 0; p < wide.size(); ++p) wide[p] = p < 144 ? 0 : 1;  // 256 of one class
  std::vector<unsigned char> bytes(800);
  lk::class_boundary_mask(wide, {.height = 20, .width = 20, .radius = 20}, lk::rows<unsigned char>(bytes.data(), 400, 2));
  CHECK(bytes == std::vector<unsigned char>(800, 1));
  CHECK(fault<lk::shape_error>([&] { lk::boundary_mask(same, {.height = 4, .width = 7}, mask); }) ==
        "limbeck: labels has 35 elements, expected 56 (whole pictures)");
  CHECK(fault<lk::value_error>([&] { lk::boundary_mask(same, {}, mask); }) ==
        "limbeck: a picture is 0 x 0, expected a height and a width");
}

TEST_CASE("dense: every class with a boundary counts one a picture", "[dense]") {
  const std::size_t positions = 6, classes = 3, pictures = 2;
  const std::vector<double> m{
      1, 0, 0.5, 1, 1, 0,   0, 1, 0, 0.25, 0, 0, 0, 0, 0, 1, 0, 0,  // soft masks, as pooling makes them
      0, 0, 0,   0, 0, 0.2, 0, 0, 0, 0,    0, 0, 1, 1, 0, 1, 1, 0};
  const lk::rows<const double> mask(m.data(), pictures * positions, classes);
  std::vector<double> weights(pictures * positions, 7);
  lk::boundary_weights(mask, positions, weights);
  double whole = 0;
  for (std::size_t n = 0; n < pictures; ++n)
    for (std::size_t i = 0; i < positions; ++i) {
      double expected = 0;
      for (std::size_t c = 0; c < classes; ++c) {
        double sum = 0;
        for (std::size_t j = 0; j < positions; ++j) sum += mask(n * positions + j, c);
        expected += mask(n * positions + i, c) / std::max(sum, 1.0);
      }
      CHECK(weights[n * positions + i] == Approx(expected).epsilon(1e-14));
      whole += n == 0 ? weights[i] : 0;
    }
  CHECK(whole == Approx(2.5).epsilon(1e-14));  // two classes, and one of half a position
  CHECK(fault<lk::shape_error>([&] { lk::boundary_weights(mask, 5, weights); }) ==
        "limbeck: mask has 12 elements, expected 15 (whole pictures)");
}

TEST_CASE("dense: boxes count one each, and the smallest wins", "[dense]") {
  const lk::grid shape{6, 9};
  const std::vector<lk::box> boxes{
      {1, 1, 7, 5}, {2.2, 1.5, 4.0, 3.5}, {6.5, 4.5, 20, 30}, {-5, -5, 0, 0}, {3, 3, 3, 5}};
  std::vector<double> front(shape.positions()), back(shape.positions());
  const std::size_t inside = lk::box_mask(boxes, shape, front, back);
  std::size_t expected_inside = 0;
  for (std::size_t y = 0; y < shape.height; ++y)
    for (std::size_t x = 0; x < shape.width; ++x) {
      double expected = 0;
      for (const lk::box& b : boxes) {
        const auto touches = [&](std::size_t j, std::size_t i) {  // a common area
          const double w = std::min(b.right, static_cast<double>(i) + 1) - std::max(b.left, static_cast<double>(i));
          const double h = std::min(b.bottom, static_cast<double>(j) + 1) - std::max(b.top, static_cast<double>(j));
          return w > 0 && h > 0;
        };
        double cells = 0;
        for (std::size_t j = 0; j < shape.height; ++j)
          for (std::size_t i = 0; i < shape.width; ++i) cells += touches(j, i);
        if (touches(y, x)) expected = std::max(expected, 1 / cells);
      }
      CHECK(front[y * shape.width + x] == Approx(expected).epsilon(1e-14));
      expected_inside += expected > 0;
    }
  CHECK(inside == expected_inside);
  CHECK(std::accumulate(back.begin(), back.end(), 0.0) == Approx(1));
  for (std::size_t p = 0; p < shape.positions(); ++p) CHECK((front[p] > 0) != (back[p] > 0));

  // a box alone sums to 1; without boxes everything is background, and with one over all of it nothing is
  CHECK(lk::box_mask(std::span(boxes).first(1), shape, front, back) == 24);
  CHECK(std::accumulate(front.begin(), front.end(), 0.0) == Approx(1));
  CHECK(lk::box_mask({}, shape, front, back) == 0);
  CHECK(std::accumulate(front.begin(), front.end(), 0.0) == 0);
  const std::vector<lk::box> all{{-1, -1, 100, 100}};
  CHECK(lk::box_mask(all, shape, front, back) == shape.positions());
  CHECK(std::accumulate(back.begin(), back.end(), 0.0) == 0);

  const std::vector<lk::box> inverted{{0, 0, 1, 1}, {3, 0, 1, 1}}, endless{{0, 0, infinity, 1}};
  CHECK(fault<lk::value_error>([&] { lk::box_mask(inverted, shape, front, back); }) ==
        "limbeck: boxes is 3, 0, 1, 1 at row 1, expected finite left <= right and top <= bottom");
  CHECK_THROWS_AS(lk::box_mask(endless, shape, front, back), lk::value_error);
  front.pop_back();
  CHECK_THROWS_AS(lk::box_mask(all, shape, front, back), lk::shape_error);
}

TEST_CASE("dense: patches are drawn without replacement, in the proportion of their weights", "[dense]") {
  lk::workspace ws;
  lk::random_stream random(3);
  const std::vector<double> weights{1, 0, 2, 4, 0.5};
  const double all = 7.5;
  std::vector<int> kept(2);
  std::vector<double> first(5), second(5);
  const int draws = 40'000;
  int twice = 0;
  for (int d = 0; d < draws; ++d) {
    lk::draw_patches(weights, random, kept, ws);
    twice += kept[0] == kept[1];
    first[static_cast<std::size_t>(kept[0])] += 1.0 / draws;
    second[static_cast<std::size_t>(kept[1])] += 1.0 / draws;
  }
  CHECK(twice == 0);
  for (std::size_t p = 0; p < 5; ++p) {
    CHECK(first[p] == Approx(weights[p] / all).margin(0.012));  // five deviations
    double expected = 0;  // of the second draw: over what may have been drawn first
    for (std::size_t q = 0; q < 5; ++q)
      if (q != p) expected += weights[q] / all * weights[p] / (all - weights[q]);
    CHECK(second[p] == Approx(expected).margin(0.012));
  }

  // all of them are a permutation; the stream moves on by one number a patch
  std::vector<std::size_t> order(16);
  lk::random_stream a(5), b(5);
  lk::draw_patches(16, a, order, ws);
  b.skip(16);
  CHECK(a == b);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < 16; ++i) CHECK(order[i] == i);

  std::vector<int> small(1);  // a weight whose time is above all numbers is drawn, and one of 0 is not
  lk::draw_patches(std::vector<double>{0, 1e-310}, random, small, ws);
  CHECK(small[0] == 1);

  std::vector<int> five(5);
  CHECK(fault<lk::value_error>([&] { lk::draw_patches(weights, random, five, ws); }) ==
        "limbeck: 5 patches are to be drawn of 4 whose weight is positive");
  for (const double bad : {-1.0, not_a_number, infinity})
    CHECK_THROWS_AS(lk::draw_patches(std::vector<double>{1, bad, 1}, random, kept, ws), lk::value_error);
}

TEST_CASE("dense: means of regions and their way back", "[dense]") {
  const std::size_t positions = 11, channels = 3, regions = 4;
  const std::vector<int> of{0, 2, 2, -1, 0, 1, 2, 0, 2, -7, 1};  // nobody is in region 3
  const auto x = random_numbers(positions * channels, 1), v = random_numbers(positions * channels, 2);
  const auto w = random_numbers(regions * channels, 3);
  lk::workspace ws;
  std::vector<double> means(regions * channels, 9), moved(regions * channels);
  lk::region_means(lk::rows<const double>(x.data(), positions, channels), of,
                   lk::rows<double>(means.data(), regions, channels), ws);
  for (std::size_t r = 0; r < regions; ++r)
    for (std::size_t c = 0; c < channels; ++c) {
      long double sum = 0, size = 0;
      for (std::size_t p = 0; p < positions; ++p)
        if (of[p] == static_cast<int>(r)) sum += x[p * channels + c], size += 1;
      CHECK(means[r * channels + c] == Approx(static_cast<double>(size > 0 ? sum / size : 0)).epsilon(1e-14));
    }

  // <J v, w> = <v, J^T w>; J is linear, so J v are the means of v. The gradient is added.
  lk::region_means(lk::rows<const double>(v.data(), positions, channels), of,
                   lk::rows<double>(moved.data(), regions, channels), ws);
  std::vector<double> gradient(positions * channels, 2);
  lk::add_region_gradient(lk::rows<const double>(w.data(), regions, channels), of,
                          lk::rows<double>(gradient.data(), positions, channels), ws);
  double there = 0, back = 0;
  for (std::size_t i = 0; i < moved.size(); ++i) there += moved[i] * w[i];
  for (std::size_t i = 0; i < v.size(); ++i) back += v[i] * (gradient[i] - 2);
  CHECK(there == Approx(back).epsilon(1e-13));
  CHECK(gradient[3 * channels] == 2);  // in no region

  const std::vector<int> wrong(positions, 4);
  CHECK(fault<lk::value_error>([&] {
          lk::region_means(lk::rows<const double>(x.data(), positions, channels), wrong,
                           lk::rows<double>(means.data(), regions, channels), ws);
        }) == "limbeck: regions is 4 at position 0, expected 0 to 3, or a negative one for none");
  CHECK_THROWS_AS(lk::region_means(lk::rows<const double>(x.data(), positions - 1, channels), of,
                                   lk::rows<double>(means.data(), regions, channels), ws),
                  lk::shape_error);
}

TEST_CASE("dense: overlap of boxes, and the greedy choice", "[dense]") {
  CHECK(lk::intersection_over_union({0, 0, 2, 2}, {1, 1, 3, 3}) == Approx(1.0 / 7));
  CHECK(lk::intersection_over_union({0, 0, 2, 2}, {0, 0, 2, 2}) == 1);
  CHECK(lk::intersection_over_union({0, 0, 2, 2}, {2, 0, 4, 2}) == 0);
  CHECK(lk::intersection_over_union({1, 1, 1, 1}, {1, 1, 1, 1}) == 0);

  lk::random_stream random(4);
  for (int round = 0; round < 20; ++round) {
    const std::size_t n = 1 + random.below(25);
    std::vector<lk::box> boxes(n);
    std::vector<double> scores(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double x = 6 * random.uniform(), y = 6 * random.uniform();
      boxes[i] = {x, y, x + 4 * random.uniform(), y + 4 * random.uniform()};
      scores[i] = std::floor(6 * random.uniform());  // with ties
    }
    // brute force: again and again the best of what is left, which then hides the others
    std::vector<bool> left(n, true);
    std::vector<std::size_t> expected;
    for (;;) {
      std::size_t best = n;
      for (std::size_t i = 0; i < n; ++i)
        if (left[i] && (best == n || scores[i] > scores[best])) best = i;
      if (best == n) break;
      expected.push_back(best);
      left[best] = false;
      for (std::size_t i = 0; i < n; ++i)
        if (lk::intersection_over_union(boxes[best], boxes[i]) > 0.3) left[i] = false;
    }
    CHECK(lk::non_maximum(boxes, scores, 0.3) == expected);
    expected.resize(std::min<std::size_t>(expected.size(), 3));
    CHECK(lk::non_maximum(boxes, scores, 0.3, 3) == expected);
    CHECK(lk::non_maximum(boxes, scores, 1).size() == n);
  }
  const std::vector<lk::box> two{{0, 0, 1, 1}, {0, 0, 1, 1}};
  CHECK(lk::non_maximum({}, std::vector<double>{}, 0.5).empty());
  CHECK(fault<lk::value_error>([&] {
          lk::non_maximum(two, std::vector<double>{1, not_a_number}, 0.5);
        }) == "limbeck: scores is nan at row 1");
  CHECK_THROWS_AS(lk::non_maximum(two, std::vector<double>{1, 2}, 1.5), lk::value_error);
  CHECK_THROWS_AS(lk::non_maximum(two, std::vector<double>{1}, 0.5), lk::shape_error);
}

TEST_CASE("dense: general instances are where two detectors disagree", "[dense]") {
  const std::vector<double> s{0.1, 0.2, 0.9, 0.1, 0.5, 0.5, 0.0, 0.3}, t{0.8, 0.1, 0.3, 0.2, 0.5, 0.5, 0.6, 0.3};
  const std::vector<lk::box> mine{{0, 0, 2, 2}, {5, 5, 7, 7}, {9, 9, 10, 10}, {0, 0, 2, 2}};
  const std::vector<lk::box> theirs{{0, 0, 1, 1}, {20, 20, 21, 21}, {30, 30, 31, 31}, {0, 0, 1, 1.1}};
  const auto rows = [](const std::vector<double>& x) { return lk::rows<const double>(x.data(), 4, 2); };
  const auto chosen = lk::general_instances{.most = 2}(rows(s), rows(t), mine, theirs);
  REQUIRE(chosen.size() == 2);  // row 3, which overlaps row 0, is left out, and then there are enough
  CHECK(chosen[0].row == 0);
  CHECK(chosen[0].score == Approx(0.7));
  CHECK(chosen[0].of_teacher);
  CHECK(chosen[0].where.right == 1);
  CHECK(chosen[1].row == 1);
  CHECK(chosen[1].score == Approx(0.6));
  CHECK_FALSE(chosen[1].of_teacher);
  CHECK(chosen[1].where.left == 5);
  for (const auto& same : lk::general_instances{}(rows(s), rows(s), mine, theirs)) CHECK(same.score == 0);
  CHECK_THROWS_AS(lk::general_instances{}(rows(s), rows(t), std::span(mine).first(3), theirs), lk::shape_error);
  const std::vector<double> bad(8, not_a_number);
  CHECK(fault<lk::value_error>([&] { lk::general_instances{}(rows(s), rows(bad), mine, theirs); }) ==
        "limbeck: the scores are nan at row 0, column 0, expected finite ones");
}
