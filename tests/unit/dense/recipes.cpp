// Published losses on pictures, composed: against the formula of their papers in long double, gradients against central
// differences.

#include "catch.hpp"

#include <limbeck/dense.hpp>
#include <limbeck/features.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/map/then.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/map/unit_rows.hpp>
#include <limbeck/map/views.hpp>
#include <limbeck/relations.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <exception>
#include <functional>
#include <vector>

namespace lk = limbeck;
using real = long double;

namespace {

std::vector<double> random_numbers(std::size_t n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<double> x(n);
  for (double& v : x) v = random.normal();
  return x;
}

/// Central differences of @p value by the elements of @p x.
void check_gradient(std::vector<double>& x, const std::vector<double>& gradient, const std::function<real()>& value) {
  double worst = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5;
    x[i] = at + h;
    const real above = value();
    x[i] = at - h;
    const real below = value();
    x[i] = at;
    worst = std::max(worst, std::abs(static_cast<double>((above - below) / (2 * h)) - gradient[i]));
    size = std::max(size, std::abs(gradient[i]));
  }
  CHECK(worst < 1e-7 * (1 + size));
  CHECK(size > 0);
}

/// T^2 KL(softmax(t/T) || softmax(s/T)) of what t(i) and s(i) give for i < n.
template <class S, class Q>
real kl(std::size_t n, real temperature, const S& s, const Q& t) {
  real zs = 0, zt = 0, sum = 0;
  for (std::size_t i = 0; i < n; ++i) zs += std::exp(s(i) / temperature), zt += std::exp(t(i) / temperature);
  for (std::size_t i = 0; i < n; ++i) {
    const real p = std::exp(t(i) / temperature) / zt, q = std::exp(s(i) / temperature) / zs;
    sum += p * std::log(p / q);
  }
  return temperature * temperature * sum;
}

}  // namespace

TEST_CASE("dense: BPKD's losses of edges and bodies", "[dense]") {
  const std::size_t pictures = 2, height = 4, width = 5, classes = 3, positions = height * width;
  const std::size_t n = pictures * positions;
  const double edge = 50, body = 20, alpha = 2, temperature = 4;
  std::vector<int> labels(n);
  for (std::size_t p = 0; p < n; ++p)
    labels[p] = p % width < 2 ? 0 : p < positions ? 1 : static_cast<int>(p / width % 2 + 1);
  auto s = random_numbers(n * classes, 1);
  const auto t = random_numbers(n * classes, 2);

  std::vector<double> m(n * classes), w(n);
  const lk::rows<double> mask(m.data(), n, classes);
  lk::class_boundary_mask(labels, {.height = height, .width = width, .radius = 1}, mask);
  lk::boundary_weights(mask, positions, w);

  const auto definition = [&] {
    real sum = 0;
    for (std::size_t b = 0; b < pictures; ++b) {
      const auto at = [&](std::size_t i, std::size_t c) { return (b * positions + i) * classes + c; };
      for (std::size_t c = 0; c < classes; ++c) {
        real over = 0, weighted = 0;
        for (std::size_t i = 0; i < positions; ++i) {
          const real phi = kl(
              classes, temperature, [&](std::size_t k) -> real { return s[at(i, k)] * m[at(i, k)]; },
              [&](std::size_t k) -> real { return t[at(i, k)] * m[at(i, k)]; });
          weighted += phi * m[at(i, c)], over += m[at(i, c)];
        }
        sum += edge * alpha * weighted / std::max<real>(over, 1) / pictures;
        sum += body / (classes * pictures) *
               kl(
                   positions, temperature, [&](std::size_t i) -> real { return s[at(i, c)] * (1 - m[at(i, c)]); },
                   [&](std::size_t i) -> real { return t[at(i, c)] * (1 - m[at(i, c)]); });
      }
    }
    return sum;
  };

  const auto all = [&](auto& x) { return lk::rows<const double>(x.data(), n, classes); };
  const auto kl_at = lk::at_temperature(temperature, lk::forward_kl{});
  const lk::objective on_edges{edge * alpha * lk::through(lk::element_mask{all(m)}, kl_at)};
  const lk::objective in_bodies{
      body * lk::through(lk::element_mask{all(m), true}, lk::grouped(positions, lk::transposed(kl_at)))};
  std::vector<double> gradient(s.size());
  const auto out = lk::into(lk::rows<double>(gradient.data(), n, classes));
  lk::workspace ws;
  double loss =
      on_edges(all(s), all(t), lk::row_weights(w), lk::mean_over(static_cast<double>(pictures)), out, ws).loss;
  const auto first = gradient;
  loss += in_bodies(all(s), all(t), out, ws).loss;
  for (std::size_t i = 0; i < s.size(); ++i) gradient[i] += first[i];
  CHECK(loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
  check_gradient(s, gradient, definition);

  // without boundaries it is channel-wise distillation
  std::fill(labels.begin(), labels.end(), 1);
  lk::class_boundary_mask(labels, {.height = height, .width = width, .radius = 1}, mask);
  lk::boundary_weights(mask, positions, w);
  CHECK(std::all_of(w.begin(), w.end(), [](double x) { return x == 0; }));
  CHECK(std::all_of(m.begin(), m.end(), [](double x) { return x == 0; }));
  const lk::objective channels{body * lk::grouped(positions, lk::transposed(kl_at))};
  CHECK(in_bodies.value(all(s), all(t), ws) == Approx(channels.value(all(s), all(t), ws)).epsilon(1e-14));

  m.pop_back();
  const lk::rows<const double> other(m.data(), n - 1, classes);
  const lk::objective wrong{lk::through(lk::element_mask{other}, kl_at)};
  CHECK_THROWS_AS(wrong.value(all(s), all(t)), lk::shape_error);
}

TEST_CASE("dense: a loss between means of regions", "[dense]") {
  const std::size_t positions = 14, channels = 4, regions = 3;
  const std::vector<int> of{0, 0, 2, 2, -1, 0, 2, 0, 0, 2, 2, 2, -1, 0};  // region 1 is empty
  auto s = random_numbers(positions * channels, 1);
  const auto t = random_numbers(positions * channels, 2);
  const auto mean = [&](const std::vector<double>& x, std::size_t r, std::size_t c) {
    real sum = 0, size = 0;
    for (std::size_t p = 0; p < positions; ++p)
      if (of[p] == static_cast<int>(r)) sum += x[p * channels + c], size += 1;
    return size > 0 ? sum / size : 0;
  };
  const auto definition = [&] {
    real sum = 0;
    for (std::size_t r = 0; r < regions; ++r)
      sum +=
          kl(
              channels, 1, [&](std::size_t c) { return mean(s, r, c); }, [&](std::size_t c) { return mean(t, r, c); }) /
          regions;
    return sum;
  };
  const auto all = [&](auto& x) { return lk::rows<const double>(x.data(), positions, channels); };
  const lk::objective between{lk::through(lk::region_mean(of, regions), lk::forward_kl{})};
  std::vector<double> gradient(s.size());
  const auto result = between(all(s), all(t), lk::into(lk::rows<double>(gradient.data(), positions, channels)));
  CHECK(result.loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
  check_gradient(s, gradient, definition);
  std::vector<int> counts(positions, 1);
  counts[3] = 0;
  CHECK_THROWS_AS(between.value(all(s), all(t), lk::row_weights(counts)), std::exception);
}

TEST_CASE("dense: EfficientAD", "[dense]") {
  // a student of 2 C channels, whose first half imitates the teacher and whose second half the autoencoder
  const std::size_t positions = 30, channels = 4, n = positions * channels;
  const double hard = 0.9;
  auto raw = random_numbers(n, 1), raw_changed = random_numbers(n, 2);
  auto s = random_numbers(2 * n, 3), s_changed = random_numbers(2 * n, 4), s_other = random_numbers(2 * n, 5),
       a = random_numbers(n, 6);
  const auto whole = [&](std::vector<double>& x) { return lk::rows<double>(x.data(), positions, channels); };
  const auto half = [&](std::vector<double>& x, std::size_t which) {
    return lk::rows<double>(x.data() + which * channels, positions, channels,
                            static_cast<std::ptrdiff_t>(2 * channels));
  };
  lk::channel_normaliser normal(channels);
  normal.update(whole(raw));
  normal(whole(raw), whole(raw));
  normal(whole(raw_changed), whole(raw_changed));

  const auto definition = [&] {
    std::vector<real> errors;
    real penalty = 0, ae = 0, stae = 0;
    const real mean = 1 / static_cast<real>(n);
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t c = 0; c < channels; ++c) {
        const std::size_t i = p * channels + c, first = 2 * p * channels + c, second = first + channels;
        errors.push_back((raw[i] - s[first]) * (raw[i] - s[first]));
        penalty += mean * s_other[first] * s_other[first];
        ae += mean * (raw_changed[i] - a[i]) * (raw_changed[i] - a[i]);
        stae += mean * (a[i] - s_changed[second]) * (a[i] - s_changed[second]);
      }
    std::sort(errors.begin(), errors.end());
    const real place = hard * static_cast<real>(n - 1);
    const auto below = static_cast<std::size_t>(place);
    const real threshold = errors[below] + (place - static_cast<real>(below)) * (errors[below + 1] - errors[below]);
    real sum = 0, kept = 0;
    for (const real e : errors)
      if (e >= threshold) sum += e, kept += 1;
    return sum / kept + penalty + ae + stae;
  };

  const lk::objective imitate{lk::hard_quantile{.p_hard = hard}};
  const lk::objective silent{lk::out_of_domain_penalty{}};
  const lk::objective equal{lk::feature_mse{}};
  std::vector<double> gs(2 * n), gs_changed(2 * n), gs_other(2 * n), ga(n), more(n);
  lk::workspace ws;
  double loss = imitate(half(s, 0), whole(raw), lk::into(half(gs, 0)), ws).loss;
  loss += silent(half(s_other, 0), lk::into(half(gs_other, 0)), ws).loss;
  loss += equal(whole(a), whole(raw_changed), lk::into(whole(ga)), ws).loss;
  loss += equal(half(s_changed, 1), whole(a), lk::into(half(gs_changed, 1)), ws).loss;
  equal(whole(a), half(s_changed, 1), lk::into(whole(more)), ws);  // both learn from this term
  for (std::size_t i = 0; i < n; ++i) ga[i] += more[i];
  CHECK(loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
  check_gradient(s, gs, definition);
  check_gradient(s_changed, gs_changed, definition);
  check_gradient(s_other, gs_other, definition);
  check_gradient(a, ga, definition);

  // the test's map: each distance normalised by its quantiles over normal pictures, then their mean; its largest number
  std::vector<double> map(positions), map_ae(positions);
  lk::anomaly_map(half(s, 0), whole(raw), map);
  lk::anomaly_map(half(s, 1), whole(a), map_ae);
  const auto first = map, second = map_ae;
  const lk::quantile_normaliser q(map), q_ae(map_ae);
  q(map);
  q_ae(map_ae);
  for (std::size_t p = 0; p < positions; ++p)
    CHECK((map[p] + map_ae[p]) / 2 == Approx(0.05 * ((first[p] - q.low()) / (q.high() - q.low()) +
                                                     (second[p] - q_ae.low()) / (q_ae.high() - q_ae.low()))));
}

TEST_CASE("dense: reverse distillation between layers of different sizes", "[dense]") {
  // the sum over a batch of pictures of 1 - cos, a mean over positions and layers: a hint between rows of length 1
  const std::size_t pictures = 3, channels = 4;
  const lk::grid layers[] = {{4, 5}, {2, 2}}, size{8, 10};
  std::vector<std::vector<double>> s, t, g(2);
  real expected = 0;
  std::vector<double> map(size.positions()), by_hand(size.positions());
  double loss = 0;
  lk::workspace ws;
  for (std::size_t l = 0; l < 2; ++l) {
    const std::size_t positions = layers[l].positions(), n = pictures * positions;
    s.push_back(random_numbers(n * channels, 1 + l));
    t.push_back(random_numbers(n * channels, 3 + l));
    g[l].resize(s[l].size());
    const auto all = [&](auto& x) { return lk::rows<const double>(x.data(), n, channels); };
    const auto definition = [&] {
      real sum = 0;
      for (std::size_t r = 0; r < n; ++r) {
        real ss = 0, st = 0, tt = 0;
        for (std::size_t c = 0; c < channels; ++c) {
          const real a = s[l][r * channels + c], b = t[l][r * channels + c];
          ss += a * a, st += a * b, tt += b * b;
        }
        sum += 1 - st / std::sqrt(ss * tt);
      }
      return sum / static_cast<real>(2 * positions);
    };
    expected += definition();
    const lk::objective layer{pictures / 2.0 * lk::through(lk::unit_rows{}, lk::hint{})};
    loss += layer(all(s[l]), all(t[l]), lk::into(lk::rows<double>(g[l].data(), n, channels)), ws).loss;
    check_gradient(s[l], g[l], definition);

    const auto first = [&](auto& x) { return lk::rows<const double>(x.data(), positions, channels); };
    std::vector<double> apart(positions);
    lk::cosine_anomaly_map(first(s[l]), first(t[l]), apart);
    lk::add_resized(apart, layers[l], size, map, 1.0 / static_cast<double>(positions));
    for (double& d : apart) d /= static_cast<double>(positions);
    lk::add_resized(apart, layers[l], size, by_hand);
  }
  CHECK(loss == Approx(static_cast<double>(expected)).epsilon(1e-12));
  for (std::size_t p = 0; p < map.size(); ++p) CHECK(map[p] == Approx(by_hand[p]).epsilon(1e-13));
}

TEST_CASE("dense: MonoTAKD's two branches", "[dense]") {
  const std::size_t positions = 9, channels = 3, n = positions * channels;
  auto s = random_numbers(n, 1), second = random_numbers(n, 2);
  const auto t = random_numbers(n, 3);
  auto a = random_numbers(n, 4);
  const auto span = [](const std::vector<double>& x) { return std::minmax_element(x.begin(), x.end()); };
  const auto [low, high] = span(a);
  const double least = *low, width = *high - *low;
  for (double& v : a) v = (v - least) / width;  // the assistant, brought to [0, 1]
  std::vector<double> rest(n), weights(positions, 1);
  weights[2] = weights[7] = 0.05;  // empty cells
  const auto all = [&](auto& x) { return lk::rows<const double>(x.data(), positions, channels); };
  const auto into = [&](auto& x) { return lk::into(lk::rows<double>(x.data(), positions, channels)); };
  lk::residual_features(all(a), all(t), lk::rows<double>(rest.data(), positions, channels));

  const auto definition = [&] {
    const auto ends = span(s);
    const real from = *ends.first, to = *ends.second;
    real sum = 0, whole = 0, largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max<real>(largest, std::abs(static_cast<real>(a[i]) - t[i]));
    for (std::size_t p = 0; p < positions; ++p) {
      whole += weights[p];
      for (std::size_t c = 0; c < channels; ++c) {
        const std::size_t i = p * channels + c;
        const real mine = (s[i] - from) / (to - from), lacks = std::abs(static_cast<real>(a[i]) - t[i]);
        const real target = lacks < 0.6L * largest ? 0 : lacks;
        sum += weights[p] / channels *
               ((a[i] - mine) * (a[i] - mine) + 0.2L * (target - second[i]) * (target - second[i]));
      }
    }
    return sum / whole;
  };
  const lk::objective alike{lk::through(lk::unit_range{}, lk::identity{}, lk::mse{})};
  const lk::objective lacking{0.2 * lk::mse{}};
  std::vector<double> g(n), g_second(n);
  const double loss = alike(all(s), all(a), lk::row_weights(weights), into(g)).loss +
                      lacking(all(second), all(rest), lk::row_weights(weights), into(g_second)).loss;
  CHECK(loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
  check_gradient(s, g, definition);
  check_gradient(second, g_second, definition);

  // minimum and maximum are those of the call: it cannot be cut, in whatever the map stands
  const auto one = [](const auto& x) { return lk::rows<const double>(x.data(), 1, channels); };
  const auto refused = [&](const auto& cut) {
    CHECK_THROWS_WITH(lk::objective{cut}.value(one(s), one(a), lk::mean_over(2)),
                      Catch::Matchers::Contains("cannot be summed over parts of it, such as micro-batches"));
  };
  refused(lk::through(lk::unit_range{}, lk::mse{}));
  refused(lk::through(lk::identity{}, lk::unit_range{}, lk::mse{}));
  refused(lk::through(lk::identity{}, lk::through(lk::unit_range{}, lk::mse{})));
  refused(lk::through(lk::then(lk::unit_rows{}, lk::unit_range{}), lk::mse{}));
  refused(lk::through(lk::at_positions(lk::unit_range{}, 1), lk::mse{}));

  const std::vector<double> equal(n, 3), zeros(n);
  CHECK(alike.value(all(equal), all(a)) == Approx(lk::objective{lk::mse{}}.value(all(zeros), all(a))));
}

TEST_CASE("dense: DMAE's features and GID's instances, after a projection", "[dense]") {
  const std::size_t n = 6, mine = 3, theirs = 4;  // patches that both see, or instances that were chosen
  auto s = random_numbers(n * mine, 1);
  const auto t = random_numbers(n * theirs, 2);
  lk::projection<double> p(mine, theirs, lk::he{.seed = 3});
  const auto weights = p.parameters();  // theirs x mine, and biases
  const auto mapped = [&](std::size_t r, std::size_t c) {
    real sum = weights[1][c];
    for (std::size_t k = 0; k < mine; ++k) sum += static_cast<real>(weights[0][c * mine + k]) * s[r * mine + k];
    return sum;
  };
  const auto taught = [&](std::size_t r, std::size_t c) -> real { return t[r * theirs + c]; };
  const auto norm = [&](const auto& difference) {
    real sum = 0;
    for (std::size_t c = 0; c < theirs; ++c) sum += difference(c) * difference(c);
    return std::sqrt(sum);
  };
  const auto check = [&](const auto& objective, const std::function<real()>& definition) {
    std::vector<double> g(s.size());
    p.zero_gradients();
    const auto result =
        objective(lk::rows<const double>(s.data(), n, mine), lk::rows<const double>(t.data(), n, theirs),
                  lk::into(lk::rows<double>(g.data(), n, mine)));
    CHECK(result.loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
    check_gradient(s, g, definition);
  };

  // the mean over all numbers of |s/|s| - t/|t||
  check(lk::objective{lk::through(lk::then(p, lk::unit_rows{}), lk::unit_rows{}, lk::l1{})}, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < n; ++r) {
      const real a = norm([&](std::size_t c) { return mapped(r, c); }),
                 b = norm([&](std::size_t c) { return taught(r, c); });
      for (std::size_t c = 0; c < theirs; ++c) sum += std::abs(mapped(r, c) / a - taught(r, c) / b) / (n * theirs);
    }
    return sum;
  });

  // the mean distance of instances, and the sum over pairs of smooth L1 of distances over their mean
  const auto gid = lk::through(p, lk::identity{}, lk::row_distance{} + static_cast<double>(n * n) * lk::rkd_distance{});
  check(lk::objective{gid}, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < n; ++r) sum += norm([&](std::size_t c) { return taught(r, c) - mapped(r, c); }) / n;
    std::vector<real> ds, dt;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        if (i == j) continue;
        ds.push_back(norm([&](std::size_t c) { return mapped(i, c) - mapped(j, c); }));
        dt.push_back(norm([&](std::size_t c) { return taught(i, c) - taught(j, c); }));
      }
    real ms = 0, mt = 0;
    for (std::size_t k = 0; k < ds.size(); ++k) ms += ds[k] / ds.size(), mt += dt[k] / ds.size();
    for (std::size_t k = 0; k < ds.size(); ++k) {
      const real d = std::abs(ds[k] / ms - dt[k] / mt);
      sum += d < 1 ? d * d / 2 : d - 0.5L;
    }
    return sum;
  });
}
