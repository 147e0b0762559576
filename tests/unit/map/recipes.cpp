// Published systems that are losses through maps, against the formula of their code in long double.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace lk = limbeck;
using namespace limbeck_test;
using real = long double;

namespace {

std::vector<real> softmax(std::vector<real> x) {
  real z = 0;
  for (real& v : x) z += v = std::exp(v);
  for (real& v : x) v /= z;
  return x;
}
/// KL(softmax(t) || softmax(s)).
real kl_of_logits(const std::vector<real>& t, const std::vector<real>& s) {
  const auto p = softmax(t), q = softmax(s);
  real sum = 0;
  for (std::size_t c = 0; c < p.size(); ++c) sum += p[c] * std::log(p[c] / q[c]);
  return sum;
}
std::vector<real> row(const std::vector<double>& x, std::size_t r, std::size_t width) {
  return {x.begin() + static_cast<std::ptrdiff_t>(r * width), x.begin() + static_cast<std::ptrdiff_t>((r + 1) * width)};
}

real dot(const std::vector<real>& a, const std::vector<real>& b) {
  real sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

/// The value of a call that writes the gradient is the definition's of the batch, and the gradient the difference of its values.
template <class Call>
void check_call(const Call& call, batch<double>& b, const std::function<real()>& definition) {
  std::vector<double> g(b.size());
  const double value = call(lk::rows<double>(g.data(), b.samples, b.classes));
  CHECK(value == Approx(static_cast<double>(definition())).epsilon(1e-12));
  double worst = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double at = b.student[i], h = 1e-4;
    b.student[i] = at + h;
    const real up = definition();
    b.student[i] = at - h;
    const real down = definition();
    b.student[i] = at;
    worst = std::max(worst, std::fabs(g[i] - static_cast<double>((up - down) / (2 * static_cast<real>(h)))));
  }
  CHECK(worst < 1e-6);
}
template <lk::loss Loss>
void check(const Loss& loss, batch<double>& b, const std::function<real()>& definition) {
  const lk::objective objective{loss};
  check_call([&](const lk::rows<double>& g) { return objective(b.s(), b.t(), lk::into(g)).loss; }, b, definition);
}

}  // namespace

TEST_CASE("recipes: distributions of neighbours, and differences along edges") {
  // FF-G2M: edges with loops for the low frequencies, without for the high ones; means over the edges
  auto b = random_batch<double>(6, 5, 1);
  const std::vector<int> src{0, 0, 1, 1, 2, 4, 5, 3}, dst{0, 1, 0, 1, 4, 2, 5, 3};
  std::vector<std::pair<std::size_t, std::size_t>> edges, between;
  std::vector<std::size_t> ends[2];
  for (std::size_t e = 0; e < src.size(); ++e) {
    edges.emplace_back(src[e], dst[e]);
    if (src[e] == dst[e]) continue;
    between.push_back(edges.back());
    ends[0].push_back(edges.back().first);
    ends[1].push_back(edges.back().second);
  }
  const lk::row_list<> from(src), to(dst), one(ends[0]), other(ends[1]);
  const auto high = lk::through(lk::then(lk::pair_differences(one, other), lk::absolute{}),
                                lk::unscaled(lk::at_temperature(1.5, lk::forward_kl{})));
  const auto loss = 0.9 * (lk::through(lk::gathered(from), lk::gathered(to), lk::forward_kl{}) + high);
  check(loss, b, [&] {
    real low = 0, differences = 0;
    for (const auto& [i, j] : edges) low += kl_of_logits(row(b.teacher, j, 5), row(b.student, i, 5));
    for (const auto& [i, j] : between) {
      auto t = row(b.teacher, i, 5), s = row(b.student, i, 5);
      for (std::size_t c = 0; c < 5; ++c) {
        t[c] = std::fabs(t[c] - b.teacher[j * 5 + c]) / 1.5L;
        s[c] = std::fabs(s[c] - b.student[j * 5 + c]) / 1.5L;
      }
      differences += kl_of_logits(t, s);
    }
    return 0.9L * (low / static_cast<real>(edges.size()) + differences / static_cast<real>(between.size()));
  });
}

TEST_CASE("recipes: logits of unit features and stored class vectors") {
  // PromptKD: 1000 times the elementwise mean of p_T log(p_T/p_S), logits 100 v W^T of unit v
  auto b = random_batch<double>(4, 7, 2);
  const auto vectors = random_batch<double>(3, 7, 3, 0.3);
  const auto logits = lk::then(lk::unit_rows{}, lk::class_vectors(vectors.s(), 10));
  check(lk::through(logits, (1000.0 / 3) * lk::forward_kl{}), b, [&] {
    real sum = 0;
    const auto of = [&](const std::vector<real>& v) {
      real squares = 0;
      for (const real x : v) squares += x * x;
      std::vector<real> z(3, 0);
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t k = 0; k < 7; ++k) z[c] += 10 * v[k] / std::sqrt(squares) * vectors.student[c * 7 + k];
      return z;
    };
    for (std::size_t r = 0; r < 4; ++r) sum += kl_of_logits(of(row(b.teacher, r, 7)), of(row(b.student, r, 7)));
    return 1000 * sum / 12;
  });
}

TEST_CASE("recipes: hierarchical context of pictures pooled to 4, 2 and 1") {
  // TransKD, Review KD: MSE as it is and, with halved weights, of adaptive averages, over the sum of the weights
  const std::size_t channels = 2, h = 6, width = channels * h * h;
  auto b = random_batch<double>(2, width, 4);
  const auto to = [&](std::size_t size) {
    return lk::through(lk::adaptive_pooled{.channels = channels, .height = h, .width = h, .out_height = size, .out_width = size},
                       lk::feature_mse{});
  };
  check((1 / 1.875) * (lk::feature_mse{} + 0.5 * to(4) + 0.25 * to(2) + 0.125 * to(1)), b, [&] {
    real total = 0, weight = 1;
    for (const std::size_t size : {h, std::size_t{4}, std::size_t{2}, std::size_t{1}}) {
      real sum = 0;
      for (std::size_t p = 0; p < 2 * channels; ++p)
        for (std::size_t i = 0; i < size; ++i)
          for (std::size_t j = 0; j < size; ++j) {
            real mean = 0, count = 0;
            for (std::size_t y = i * h / size; y * size < (i + 1) * h; ++y)
              for (std::size_t x = j * h / size; x * size < (j + 1) * h; ++x, ++count)
                mean += b.student[(p * h + y) * h + x] - static_cast<real>(b.teacher[(p * h + y) * h + x]);
            sum += mean / count * (mean / count);
          }
      total += weight * sum / static_cast<real>(2 * channels * size * size);
      weight /= 2;
    }
    return total / 1.875L;
  });
}

TEST_CASE("recipes: labels of mixed pictures, and logits over their own deviation") {
  // MIX-KD: 0.1 -y log q of the mixed labels and 0.9 KL, of logits over the unbiased deviation of their row
  auto b = random_batch<double>(5, 4, 5);
  const std::vector<int> y1{0, 1, 2, 3, 1}, y2{2, 1, 0, 0, 3};
  const std::vector<double> share{1, 0.3, 0.75, 1, 0}, rest{0, 0.7, 0.25, 0, 1};
  const auto labelled = lk::objective(0.1 * lk::at_temperature(lk::standardized(1.0), lk::cross_entropy{}));
  const auto taught = lk::objective(0.9 * lk::at_temperature(lk::standardized(1.0), lk::forward_kl{}));
  const auto all = [&](const lk::rows<double>& g) {
    double value = labelled(b.s(), y1, lk::into(g), lk::row_weights(share), lk::mean_over(5)).loss;
    value += labelled(b.s(), y2, lk::add_to(g), lk::row_weights(rest), lk::mean_over(5)).loss;
    return value + taught(b.s(), b.t(), lk::add_to(g)).loss;
  };
  check_call(all, b, [&] {
    real sum = 0;
    const auto scaled = [](std::vector<real> z) {
      real mean = 0, squares = 0;
      for (const real v : z) mean += v / 4;
      for (const real v : z) squares += (v - mean) * (v - mean);
      for (real& v : z) v /= std::sqrt(squares / 3) + 1e-7L;
      return z;
    };
    for (std::size_t r = 0; r < 5; ++r) {
      const auto s = scaled(row(b.student, r, 4)), q = softmax(s);
      sum -= 0.1L * (share[r] * std::log(q[static_cast<std::size_t>(y1[r])]) + rest[r] * std::log(q[static_cast<std::size_t>(y2[r])]));
      sum += 0.9L * kl_of_logits(scaled(row(b.teacher, r, 4)), s);
    }
    return sum / 5;
  });
}

TEST_CASE("recipes: logits pooled over pictures, and compared within channels") {
  {  // MGD: the sum over pictures and classes of |mean over the picture|; a row is a picture
    auto b = random_batch<double>(2, 3 * 4 * 5, 6);
    const double count = 2 * 3;
    check((0.002 * count) * lk::through(lk::adaptive_pooled{.channels = 3, .height = 4, .width = 5}, lk::l1{}), b, [&] {
      real sum = 0;
      for (std::size_t p = 0; p < 6; ++p) {
        real gap = 0;
        for (std::size_t i = p * 20; i < (p + 1) * 20; ++i) gap += b.student[i] - static_cast<real>(b.teacher[i]);
        sum += std::fabs(gap / 20);
      }
      return 0.002L * sum;
    });
  }
  // LAD: cross-entropy of pixels, and 3 tau^2/(N C) sum KL of softmaxes over the pixels of a picture; a row is a pixel
  const std::size_t pictures = 2, pixels = 6, classes = 4;
  auto b = random_batch<double>(pictures * pixels, classes, 7);
  const lk::objective loss{lk::cross_entropy{} + 3 * lk::grouped(pixels, lk::transposed(lk::at_temperature(4.0, lk::forward_kl{})))};
  check_call([&](const lk::rows<double>& g) { return loss(b.s(), b.t(), b.labels, lk::into(g)).loss; }, b, [&] {
    real hard = 0, soft = 0;
    for (std::size_t r = 0; r < b.samples; ++r) hard -= std::log(softmax(row(b.student, r, classes))[static_cast<std::size_t>(b.labels[r])]);
    for (std::size_t n = 0; n < pictures; ++n)
      for (std::size_t c = 0; c < classes; ++c) {
        std::vector<real> s, t;
        for (std::size_t i = n * pixels; i < (n + 1) * pixels; ++i) {
          s.push_back(b.student[i * classes + c] / 4.0L);
          t.push_back(b.teacher[i * classes + c] / 4.0L);
        }
        soft += kl_of_logits(t, s);
      }
    return hard / static_cast<real>(b.samples) + 3 * 16 * soft / static_cast<real>(pictures * classes);
  });
}

TEST_CASE("recipes: squared errors of features by the distance of logits") {
  // KD3: the mean over elements of squared errors, times the row's sigmoid of the distance between logits
  const std::size_t n = 5, width = 4, classes = 3;
  auto b = random_batch<double>(n, width, 8);
  const auto logits = random_batch<double>(n, classes, 9);
  std::vector<double> weights(n);
  lk::objective{lk::row_distance{}}.value(logits.s(), logits.t(), lk::row_losses(weights));
  for (double& w : weights) w = 1 / (1 + std::exp(-w));
  check(lk::given(weights) * lk::feature_mse{}, b, [&] {
    const auto squares = [](const batch<double>& x, std::size_t r) {
      real sum = 0;
      for (std::size_t k = r * x.classes; k < (r + 1) * x.classes; ++k) {
        const real d = x.student[k] - static_cast<real>(x.teacher[k]);
        sum += d * d;
      }
      return sum;
    };
    real sum = 0;
    for (std::size_t r = 0; r < n; ++r) sum += squares(b, r) / (1 + std::exp(-std::sqrt(squares(logits, r))));
    return sum / static_cast<real>(n * width);
  });
}

TEST_CASE("recipes: cosines of the positions of each picture") {
  const auto cosine = [](const std::vector<real>& a, const std::vector<real>& c) { return dot(a, c) / std::sqrt(dot(a, a) * dot(c, c)); };
  {  // ViT-Linearizer: maps of the visible tokens of each picture, smooth L1 of the masked ones; a row is a token
    const std::size_t pictures = 2, tokens = 5, width = 3;
    auto b = random_batch<double>(pictures * tokens, width, 10);
    const std::vector<int> visible{1, 1, 0, 1, 0, 0, 1, 1, 1, 0}, masked{0, 0, 1, 0, 1, 1, 0, 0, 0, 1};
    const lk::objective maps{lk::grouped(tokens, lk::activation_matching{})};
    const lk::objective regression{lk::smooth_l1{}};
    const auto both = [&](const lk::rows<double>& g) {
      const double value = maps(b.s(), b.t(), lk::into(g), lk::row_mask(visible)).loss;
      return value + regression(b.s(), b.t(), lk::add_to(g), lk::row_mask(masked)).loss;
    };
    check_call(both, b, [&] {
      real matching = 0, errors = 0;
      for (std::size_t p = 0; p < pictures; ++p) {
        std::vector<std::size_t> seen;
        for (std::size_t r = p * tokens; r < (p + 1) * tokens; ++r)
          if (visible[r] > 0) seen.push_back(r);
        for (const std::size_t i : seen) {
          std::vector<real> s, t;
          for (const std::size_t j : seen) {
            s.push_back(cosine(row(b.student, i, width), row(b.student, j, width)));
            t.push_back(cosine(row(b.teacher, i, width), row(b.teacher, j, width)));
          }
          matching += (1 - cosine(s, t)) / static_cast<real>(seen.size() * pictures);
        }
      }
      for (std::size_t r = 0; r < b.samples; ++r)
        for (std::size_t c = 0; c < width && masked[r] > 0; ++c) {
          const real d = std::fabs(b.student[r * width + c] - static_cast<real>(b.teacher[r * width + c]));
          errors += (d < 1 ? d * d / 2 : d - 0.5L) / (4 * width);
        }
      return matching + errors;
    });
  }
  // VA-VAE: cosines between positions up to 0.25, cosines with the teacher's position up to 0.5; a row is a picture
  const std::size_t pictures = 2, channels = 3, positions = 4;
  auto b = random_batch<double>(pictures, channels * positions, 11);
  check(lk::by_position(channels, lk::marginal_distance_matrix{.margin = 0.25} + lk::margin_cosine{.margin = 0.5}), b, [&] {
    real near = 0, matrix = 0;
    const auto at = [&](const std::vector<double>& x, std::size_t n, std::size_t p) {
      std::vector<real> v;
      for (std::size_t c = 0; c < channels; ++c) v.push_back(x[(n * channels + c) * positions + p]);
      return v;
    };
    for (std::size_t n = 0; n < pictures; ++n)
      for (std::size_t i = 0; i < positions; ++i) {
        near += std::max(0.0L, 0.5L - cosine(at(b.student, n, i), at(b.teacher, n, i)));
        for (std::size_t j = 0; j < positions; ++j)
          matrix += std::max(0.0L, std::fabs(cosine(at(b.student, n, i), at(b.student, n, j)) -
                                             cosine(at(b.teacher, n, i), at(b.teacher, n, j))) - 0.25L);
      }
    return near / (pictures * positions) + matrix / (pictures * positions * positions);
  });
}

TEST_CASE("recipes: contrast within one tensor, of some of its rows") {
  // SelectiveCL: keys of which the first are anchors; of other classes those that are no parts count nowhere
  const std::size_t keys = 7, anchors = 3, width = 4;
  auto b = random_batch<double>(keys, width, 12);
  const std::vector<int> label{0, 1, 0, 0, 1, 0, 1};
  const std::vector<bool> of_part{true, true, true, true, true, false, false};
  std::vector<unsigned char> roles(keys * keys, 0);
  for (std::size_t i = 0; i < anchors; ++i)
    for (std::size_t j = 0; j < keys; ++j)
      if (i != j && (of_part[j] || label[i] == label[j])) roles[i * keys + j] = of_part[j] && label[i] == label[j] ? 2 : 1;
  const lk::pair_mask mask{lk::rows<const unsigned char>(roles.data(), keys, keys)};
  const double per_anchor = static_cast<double>(keys) / static_cast<double>(anchors);
  const lk::objective loss{(0.5 / 0.07 * per_anchor) * lk::info_nce{.temperature = 0.5}.over(mask)};
  std::vector<double> as_candidate(b.size());
  const auto call = [&](const lk::rows<double>& g) {
    const double value = loss(b.s(), b.s(), lk::into(g), lk::into_teacher(lk::rows<double>(as_candidate.data(), keys, width))).loss;
    for (std::size_t i = 0; i < b.size(); ++i) g.data[i] += as_candidate[i];
    return value;
  };
  check_call(call, b, [&] {
    real sum = 0;
    for (std::size_t i = 0; i < anchors; ++i) {
      std::vector<real> cosines;
      real all = 0, positives = 0, log_p = 0;
      for (std::size_t j = 0; j < keys; ++j) {
        const auto a = row(b.student, i, width), c = row(b.student, j, width);
        cosines.push_back(dot(a, c) / std::sqrt(dot(a, a) * dot(c, c)) / 0.5L);
        if (roles[i * keys + j] > 0) all += std::exp(cosines[j]);
      }
      for (std::size_t j = 0; j < keys; ++j)
        if (roles[i * keys + j] == 2) log_p += cosines[j] - std::log(all), positives += 1;
      sum -= log_p / positives;
    }
    return 0.5L / 0.07L * sum / anchors;
  });
}
