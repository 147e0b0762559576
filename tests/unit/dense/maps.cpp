// Maps of pictures against their naive definitions: anomalies, resizing, blurring, normalisers, targets, confusion.

#include "catch.hpp"
#include "fault.hpp"
#include "map_archive.hpp"

#include <limbeck/dense.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace lk = limbeck;
using limbeck_test::map_archive;
using real = long double;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

using limbeck_test::fault;

std::vector<double> random_numbers(std::size_t n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<double> x(n);
  for (double& v : x) v = random.normal();
  return x;
}
lk::rows<const double> view(const std::vector<double>& x, std::size_t n) { return {x.data(), n, x.size() / n}; }

}  // namespace

TEST_CASE("dense: maps of anomalies", "[dense]") {
  const std::size_t positions = 12, channels = 5;
  const auto s = random_numbers(positions * channels, 1);
  auto t = random_numbers(positions * channels, 2);
  for (std::size_t c = 0; c < channels; ++c) t[c] = 3 * s[c], t[channels + c] = -s[channels + c];
  std::vector<float> squared(positions), angles(positions);
  lk::anomaly_map(view(s, positions), view(t, positions), squared);
  lk::cosine_anomaly_map(view(s, positions), view(t, positions), angles);
  for (std::size_t p = 0; p < positions; ++p) {
    real sum = 0, st = 0, ss = 0, tt = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const real a = s[p * channels + c], b = t[p * channels + c];
      sum += (b - a) * (b - a);
      st += a * b, ss += a * a, tt += b * b;
    }
    CHECK(squared[p] == Approx(static_cast<double>(sum / channels)).epsilon(1e-6));
    CHECK(angles[p] == Approx(static_cast<double>(1 - st / std::sqrt(ss * tt))).epsilon(1e-6).margin(1e-7));
  }
  CHECK(angles[0] == Approx(0).margin(1e-12));  // whatever the length
  CHECK(angles[1] == Approx(2));                // opposite
  const std::vector<double> zeros(positions * channels);
  lk::cosine_anomaly_map(view(zeros, positions), view(t, positions), angles);
  CHECK(angles[2] == Approx(0.5));
  lk::cosine_anomaly_map(view(zeros, positions), view(zeros, positions), angles);
  CHECK(angles[2] == 0);

  auto bad = t;
  bad[3 * channels] = not_a_number;
  CHECK(fault<lk::value_error>([&] { lk::anomaly_map(view(s, positions), view(bad, positions), squared); }) ==
        "limbeck: the features of student and teacher are nan apart at position 3");
  CHECK_THROWS_AS(lk::anomaly_map(view(s, positions), view(t, 6), squared), lk::shape_error);
  squared.pop_back();
  CHECK_THROWS_AS(lk::anomaly_map(view(s, positions), view(t, positions), squared), lk::shape_error);
}

TEST_CASE("dense: maps of several layers, resized and blurred", "[dense]") {
  const std::vector<double> map{0, 1, 2, 3, 4, 5};
  // 2 x 3 to 4 x 4: rows at 0, 1/4, 3/4, 1 and columns at 0, 0.625, 1.375, 2, which is PyTorch's align_corners=False
  const std::vector<double> expected{0,    0.625, 1.375, 2,     // row 0
                                     0.75, 1.375, 2.125, 2.75,  // 1/4 of the way
                                     2.25, 2.875, 3.625, 4.25,  //
                                     3,    3.625, 4.375, 5};
  std::vector<double> out(16, 1);
  lk::add_resized(map, {2, 3}, {4, 4}, out, 2);
  for (std::size_t i = 0; i < 16; ++i) CHECK(out[i] == Approx(1 + 2 * expected[i]));
  lk::multiply_resized(map, {2, 3}, {4, 4}, out);
  for (std::size_t i = 0; i < 16; ++i) CHECK(out[i] == Approx((1 + 2 * expected[i]) * expected[i]));
  std::vector<double> same(6);
  lk::add_resized(map, {2, 3}, {2, 3}, same);
  CHECK(same == map);
  CHECK_THROWS_AS(lk::add_resized(map, {3, 3}, {4, 4}, out), lk::shape_error);

  // scipy.ndimage.gaussian_filter by its definition: mirrored borders, cut off at 4 sigma
  lk::workspace ws;
  for (const double sigma : {0.6, 1.0, 3.0}) {  // the last reaches over the picture twice
    const lk::grid shape{4, 5};
    const auto before = random_numbers(shape.positions(), 7);
    auto blurred = before;
    lk::gaussian_blur(blurred, shape, sigma, ws);
    const int radius = static_cast<int>(4 * sigma + 0.5);
    const auto fold = [](int i, int n) {
      while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
      return i;
    };
    double mean_before = 0, mean_after = 0;
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 5; ++x) {
        real sum = 0, weight = 0;
        for (int j = -radius; j <= radius; ++j)
          for (int i = -radius; i <= radius; ++i) {
            const real w = std::exp(-static_cast<real>(i * i + j * j) / (2 * sigma * sigma));
            weight += w;
            sum += w * before[static_cast<std::size_t>(fold(y + j, 4) * 5 + fold(x + i, 5))];
          }
        const auto p = static_cast<std::size_t>(y * 5 + x);
        CHECK(blurred[p] == Approx(static_cast<double>(sum / weight)).epsilon(1e-12));
        mean_before += before[p], mean_after += blurred[p];
      }
    CHECK(mean_after == Approx(mean_before).epsilon(1e-12));  // mirroring loses nothing
  }
  std::vector<double> twenty(20);
  CHECK(fault<lk::value_error>([&] {
          lk::gaussian_blur(twenty, {4, 5}, 0, ws);
        }) == "limbeck: sigma is 0, expected a positive number");
}

TEST_CASE("dense: quantiles of maps become 0 and 0.1", "[dense]") {
  auto maps = random_numbers(1000, 3);
  const lk::quantile_normaliser normal(maps);
  auto sorted = maps;
  std::sort(sorted.begin(), sorted.end());
  const auto quantile = [&](double q) {
    const double place = q * 999, below = std::floor(place);
    const auto i = static_cast<std::size_t>(below);
    return sorted[i] + (place - below) * (sorted[std::min<std::size_t>(i + 1, 999)] - sorted[i]);
  };
  const double a = quantile(0.9), b = quantile(0.995);
  CHECK(normal.low() == Approx(a).epsilon(1e-12));
  CHECK(normal.high() == Approx(b).epsilon(1e-12));
  CHECK(normal(normal.low()) == 0);
  CHECK(normal(normal.high()) == Approx(0.1));
  auto out = maps;
  normal(out);
  for (std::size_t i = 0; i < maps.size(); ++i)
    CHECK(out[i] == Approx(0.1 * (maps[i] - a) / (b - a)).epsilon(1e-11).margin(1e-14));

  map_archive archive;
  lk::quantile_normaliser saved = normal, restored(std::vector<float>{0, 1});
  saved.serialize(archive);
  archive.loading = true;
  restored.serialize(archive);
  CHECK(restored(0.25) == normal(0.25));

  CHECK(fault<lk::value_error>([] { lk::quantile_normaliser(std::vector<double>(9, 2.0)); }) ==
        "limbeck: both quantiles of the maps are 2, expected different ones");
  CHECK_THROWS_AS(lk::quantile_normaliser(maps, 0.9, 0.9), lk::value_error);
  CHECK_THROWS_AS(lk::quantile_normaliser(std::vector<double>{}), lk::shape_error);
  maps[5] = not_a_number;
  CHECK_THROWS_AS(lk::quantile_normaliser(std::vector<double>{0, 1, 2, HUGE_VAL}), lk::value_error);
  CHECK(fault<lk::value_error>([&] { lk::quantile_normaliser{maps}; }) == "limbeck: maps is nan at position 5, expected a finite number");
}

TEST_CASE("dense: channels normalised over a set that comes in batches", "[dense]") {
  const std::size_t n = 50, channels = 3;
  auto x = random_numbers(n * channels, 5);
  for (std::size_t r = 0; r < n; ++r) x[r * channels] += 1e6, x[r * channels + 2] = 4;  // far from 0; constant
  lk::channel_normaliser normal(channels);
  CHECK_THROWS_AS(normal(view(x, n), lk::rows<double>(x.data(), n, channels)), lk::value_error);
  normal.update(lk::rows<const double>(x.data(), 20, channels));
  normal.update(lk::rows<const double>(x.data() + 20 * channels, n - 20, channels));
  CHECK(normal.size() == n);
  std::vector<double> out(n * channels);
  normal(view(x, n), lk::rows<double>(out.data(), n, channels));
  for (std::size_t c = 0; c < channels; ++c) {
    real mean = 0, square = 0;
    for (std::size_t r = 0; r < n; ++r) mean += x[r * channels + c] / static_cast<real>(n);
    for (std::size_t r = 0; r < n; ++r) square += (x[r * channels + c] - mean) * (x[r * channels + c] - mean);
    const real deviation = std::sqrt(square / static_cast<real>(n));
    CHECK(normal.mean(c) == Approx(static_cast<double>(mean)).epsilon(1e-14));
    CHECK(normal.deviation(c) == Approx(static_cast<double>(deviation)).epsilon(1e-9).margin(1e-12));
    for (std::size_t r = 0; r < n; ++r)
      CHECK(out[r * channels + c] ==
            Approx(static_cast<double>((x[r * channels + c] - mean) / (c == 2 ? 1 : deviation)))
                .epsilon(1e-8)
                .margin(1e-8));
  }

  map_archive archive;
  lk::channel_normaliser restored(channels), other(2);
  normal.serialize(archive);
  archive.loading = true;
  restored.serialize(archive);
  CHECK(restored.size() == n);
  CHECK(restored.deviation(1) == normal.deviation(1));
  CHECK_THROWS_AS(other.update(view(x, n)), lk::shape_error);
  x[7] = not_a_number;
  CHECK(fault<lk::value_error>([&] { normal.update(view(x, n)); }) ==
        "limbeck: x is nan at row 2, column 1, expected a finite number");
  CHECK(normal.size() == n);  // nothing was counted
}

TEST_CASE("dense: heatmaps as clean peaks, and what an assistant lacks", "[dense]") {
  const lk::grid shape{9, 10};
  auto maps = random_numbers(2 * shape.positions(), 6);
  maps[3 * 10 + 2] = 9;                      // row 0: (3, 2)
  maps[shape.positions()] = 8;               // row 1: a corner,
  maps[shape.positions() + 8 * 10 + 9] = 8;  // and the first of two
  std::vector<double> out(maps.size()), peaks(2);
  lk::rectified_heatmaps(view(maps, 2), shape, 1.5, lk::rows<double>(out.data(), 2, shape.positions()), peaks);
  CHECK(peaks == std::vector<double>{9, 8});
  for (std::size_t k = 0; k < 2; ++k)
    for (std::size_t p = 0; p < shape.positions(); ++p) {
      const double y = static_cast<double>(p / 10) - (k == 0 ? 3 : 0),
                   x = static_cast<double>(p % 10) - (k == 0 ? 2 : 0);
      const double expected = std::max(std::abs(y), std::abs(x)) > 4.5 ? 0 : std::exp(-(y * y + x * x) / 4.5);
      CHECK(out[k * shape.positions() + p] == Approx(expected));
    }
  maps[4] = not_a_number;
  CHECK(fault<lk::value_error>([&] {
          lk::rectified_heatmaps(view(maps, 2), shape, 1.5, lk::rows<double>(out.data(), 2, shape.positions()), peaks);
        }) == "limbeck: heatmaps is nan at row 0, column 4");
  maps[4] = 0;
  maps.back() = not_a_number;
  const auto before = out;
  peaks = {1, 2};
  CHECK_THROWS_AS(
      lk::rectified_heatmaps(view(maps, 2), shape, 3, lk::rows<double>(out.data(), 2, shape.positions()), peaks),
      lk::value_error);
  CHECK((out == before && peaks == std::vector<double>{1, 2}));  // nothing was written

  const std::vector<double> a{0, 1, 2, 5, 0, 1}, t{0, 2, 5, 0, 0.9, -2};
  std::vector<double> rest(6);
  lk::residual_features(view(a, 2), view(t, 2), lk::rows<double>(rest.data(), 2, 3));
  CHECK(rest == std::vector<double>{0, 0, 3, 5, 0, 3});  // 3/5 of 5 is kept
  lk::residual_features(view(a, 2), view(a, 2), lk::rows<double>(rest.data(), 2, 3));
  CHECK(rest == std::vector<double>(6, 0.0));
  const std::vector<double> large{1 + 1e-9, 0.2}, none(2);  // rounds down to 1 in float, and is kept
  std::vector<float> rounded(2);
  lk::residual_features(view(large, 2), view(none, 2), lk::rows<float>(rounded.data(), 2, 1), 1);
  CHECK(rounded == std::vector<float>{1, 0});
  CHECK_THROWS_AS(lk::residual_features(view(a, 2), view(t, 2), lk::rows<double>(rest.data(), 2, 3), 2),
                  lk::value_error);
  CHECK_THROWS_AS(lk::residual_features(view(a, 2), view(t, 3), lk::rows<double>(rest.data(), 2, 3)), lk::shape_error);
}

TEST_CASE("dense: intersection over union from counts", "[dense]") {
  const std::size_t classes = 4;
  lk::random_stream random(8);
  std::vector<int> labels(200);
  std::vector<std::int64_t> predictions(200);
  for (std::size_t i = 0; i < 200; ++i) {
    labels[i] = i % 17 == 0 ? -100 : static_cast<int>(random.below(3));     // class 3 is nowhere
    predictions[i] = i % 17 == 0 ? 99 : static_cast<int>(random.below(2));  // class 2 is never said
  }
  lk::confusion_matrix counts(classes);
  counts.update(std::span(labels).first(120), std::span(predictions).first(120));
  counts.update(std::span(labels).last(80), std::span(predictions).last(80));
  double sum = 0, right = 0, all = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    double both = 0, either = 0;
    for (std::size_t i = 0; i < 200; ++i) {
      if (labels[i] == -100) continue;
      const bool is = labels[i] == static_cast<int>(c), was = predictions[i] == static_cast<int>(c);
      both += is && was, either += is || was;
    }
    CHECK(counts.intersection_over_union(c) == Approx(both / either));
    sum += both / either, right += both;
  }
  for (std::size_t i = 0; i < 200; ++i) all += labels[i] != -100;
  CHECK(counts.mean_iou() == Approx(sum / 3));  // of the classes that occur
  CHECK(counts.intersection_over_union(3) == 0);
  CHECK(counts.accuracy() == Approx(right / all));
  CHECK(lk::mean_iou(labels, predictions, classes) == counts.mean_iou());
  CHECK(lk::mean_iou(std::vector<int>(5, 2), std::vector<int>(5, 2), classes) == 1);
  CHECK(lk::mean_iou(std::vector<int>(5, -1), std::vector<int>(5, 2), classes, -1) == 0);

  predictions[1] = 4;
  CHECK(fault<lk::value_error>([&] { counts.update(labels, predictions); }) ==
        "limbeck: predictions is 4 at position 1, expected 0 to 3");
  labels[2] = 7;
  CHECK_THROWS_AS(counts.update(labels, labels), lk::value_error);
  CHECK(counts.mean_iou() == Approx(sum / 3));  // nothing was counted
  CHECK_THROWS_AS(counts.update(labels, std::span(predictions).first(5)), lk::shape_error);
}
