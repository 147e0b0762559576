// Means, mixtures and cosines of layers: the definitions written naively, differences, and what is wrong.

#include "../target/cases.hpp"
#include "map_archive.hpp"

#include <limbeck/limbeck.hpp>

#include <span>

using namespace limbeck_test;

namespace {

std::vector<matrix<double>> stack(std::size_t count, std::size_t n, std::size_t m, std::uint64_t seed) {
  std::vector<matrix<double>> all;
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(n, m, seed + i, 1.5);
  return all;
}
std::vector<lk::rows<const double>> views(const std::vector<matrix<double>>& all) {
  std::vector<lk::rows<const double>> out;
  for (const auto& m : all) out.push_back(m.in());
  return out;
}
template <class Target>
std::vector<double> filled_by(const Target& t) {
  std::vector<double> all(t.samples() * t.classes());
  lk::fill(t, lk::rows<double>(all.data(), t.samples(), t.classes()));
  return all;
}
std::vector<real> normalised(const std::vector<real>& x) {
  real mean = 0, variance = 0;
  const real n = static_cast<real>(x.size());
  for (const real v : x) mean += v / n;
  for (const real v : x) variance += (v - mean) * (v - mean) / n;
  std::vector<real> out;
  for (const real v : x) out.push_back((v - mean) / std::sqrt(variance + 1e-5L));
  return out;
}

}  // namespace

TEST_CASE("layer_mean is the normalised mean of normalised layers", "[layers]") {
  const auto memory = stack(6, 5, 9, 3);
  const auto all = views(memory);
  const auto last = std::span(all).last(4);
  const auto target = lk::layer_mean(last);
  const auto filled = filled_by(target);
  for (std::size_t r = 0; r < 5; ++r) {
    std::vector<real> mean(9);
    for (std::size_t l = 2; l < 6; ++l) {
      const auto row = normalised({memory[l].row(r), memory[l].row(r) + 9});
      for (std::size_t c = 0; c < 9; ++c) mean[c] += row[c] / 4;
    }
    mean = normalised(mean);
    for (std::size_t c = 0; c < 9; ++c) CHECK(filled[r * 9 + c] == Approx(static_cast<double>(mean[c])).epsilon(1e-12).margin(1e-13));
  }
  const matrix<double> student(5, 9, 1, 1.0);
  const lk::rows<const double> as_tensor(filled.data(), 5, 9);
  double smooth = 0;  // Point2Vec's loss
  for (std::size_t i = 0; i < 45; ++i) {
    const double d = std::fabs(student.data[i] - filled[i]);
    smooth += (d < 2 ? 0.25 * d * d : d - 1) / 45;
  }
  CHECK(lk::objective(lk::smooth_l1{.beta = 2}).value(student.in(), target) == Approx(smooth).epsilon(1e-12));
  CHECK(lk::objective(lk::mse{}).value(student.in(), target) ==
        Approx(lk::objective(lk::mse{}).value(student.in(), as_tensor)).epsilon(1e-14));

  // one list of layers teaches another: targets in a list
  const auto mine = lk::outputs{lk::output<"hidden">(std::span(all).first(2))};
  const std::vector taught{lk::layer_normalised(all[4]), lk::layer_normalised(all[5])};
  const auto first = filled_by(taught[0]), second = filled_by(taught[1]);
  CHECK(lk::at_layers<"hidden">(lk::layer_map::evenly(2, 2), lk::mse{}).value(mine, lk::outputs{lk::output<"hidden">(taught)}) ==
        Approx(lk::objective(lk::mse{}).value(all[0], lk::rows<const double>(first.data(), 5, 9)) +
               lk::objective(lk::mse{}).value(all[1], lk::rows<const double>(second.data(), 5, 9))));

  matrix<double> constant(2, 4, std::vector<double>{3, 3, 3, 3, 1, 2, 3, masked});
  const auto flat = filled_by(lk::layer_normalised(constant.in()));
  for (std::size_t c = 0; c < 4; ++c) CHECK(flat[c] == 0);
  CHECK_THROWS_AS(lk::objective(lk::mse{}).value(matrix<double>(2, 4, 1, 1.0).in(), lk::layer_normalised(constant.in())), lk::value_error);
  CHECK_THROWS_WITH(lk::layer_normalised(constant.in(), 0.0),
                    "limbeck: epsilon of layer_normalised is 0, expected a positive number");
  const std::vector<lk::rows<const double>> none;
  CHECK_THROWS_WITH(lk::layer_mean(none), "limbeck: the ensemble has no teacher");
}

TEST_CASE("layer_mixer: mixtures, and their way back", "[layers]") {
  const auto memory = stack(4, 5, 3, 20), direction = stack(4, 5, 3, 40), w = stack(2, 5, 3, 60);
  const auto layers = views(memory), other = views(direction), slopes = views(w);
  lk::layer_mixer<double> mixer(2, 4);
  const std::span<double> learned = mixer.parameters()[0];
  for (const double v : learned) CHECK(v == 0.25);
  lk::random_stream random(1);
  for (double& v : learned) v = random.normal();
  const auto inner = [](const auto& a, const auto& b) {
    double total = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t r = 0; r < 5; ++r)
        for (std::size_t c = 0; c < 3; ++c) total += a[i](r, c) * b[i](r, c);
    return total;
  };
  const double forward = inner(mixer.forward(other), slopes);  // <J v, w>: the map is linear
  const auto& z = mixer.forward(layers);
  for (std::size_t i = 0; i < 2; ++i) {
    double expected = 0;
    for (std::size_t j = 0; j < 4; ++j) expected += mixer.parameters()[0][i * 4 + j] * layers[j](3, 2);
    CHECK(z[i](3, 2) == Approx(expected).epsilon(1e-14));
  }
  std::vector<matrix<double>> gradients(4, matrix<double>(5, 3));
  std::vector<lk::rows<double>> into;
  for (auto& g : gradients) into.push_back(g.out());
  mixer.backward(slopes, into);
  CHECK(inner(other, into) == Approx(forward).epsilon(1e-13));  // <v, J'w>
  for (std::size_t i = 0; i < 8; ++i) {
    double& p = mixer.parameters()[0][i];
    const double held = p;
    p = held + 1e-3;
    const double up = inner(mixer.forward(layers), slopes);
    p = held - 1e-3;
    const double down = inner(mixer.forward(layers), slopes);
    p = held;
    CHECK(mixer.gradients()[0][i] == Approx((up - down) / 2e-3).epsilon(1e-9));
  }
  const double before = mixer.gradients()[0][0];
  mixer.forward(layers);
  mixer.backward(slopes, into);
  CHECK(mixer.gradients()[0][0] == Approx(2 * before));
  mixer.zero_gradients();
  CHECK(mixer.gradients()[0][0] == 0);

  lk::layer_mixer<double> close = lk::layer_mixer<double>::near_identity(3);
  CHECK(close.parameters()[0][4] == Approx(1.01));
  CHECK(close.parameters()[0][5] == Approx(0.01));
  map_archive saved;
  mixer.serialize(saved);
  lk::layer_mixer<double> restored(2, 4);
  saved.loading = true;
  restored.serialize(saved);
  for (std::size_t i = 0; i < 8; ++i) CHECK(restored.parameters()[0][i] == mixer.parameters()[0][i]);

  CHECK_THROWS_WITH(mixer.forward(slopes), "limbeck: layer_mixer is of 4 layers and was given 2");
  CHECK_THROWS_WITH(mixer.backward(layers, into),
                    "limbeck: backward of a layer_mixer of 2 mixtures and 4 layers was given 4 slopes and 4 gradients, after a "
                    "forward of 4 layers");
  into.back() = lk::rows<double>(gradients[3].data.data(), 5, 2);
  const auto held = gradients[0].data;
  CHECK_THROWS_AS(mixer.backward(slopes, into), lk::shape_error);
  CHECK((gradients[0].data == held && mixer.gradients()[0][0] == 0));  // nothing was added
  CHECK_THROWS_AS((lk::layer_mixer<float>(0, 3)), lk::shape_error);
}

TEST_CASE("layer_cosines: layers, and arrows from a student", "[layers]") {
  auto memory = stack(3, 4, 6, 80);
  const auto all = views(memory);
  const matrix<double> student(4, 6, 5, 1.0);
  const auto naive = [&](std::size_t i, std::size_t j, bool from) {
    real total = 0;
    for (std::size_t r = 0; r < 4; ++r) {
      real uv = 0, uu = 0, vv = 0;
      for (std::size_t c = 0; c < 6; ++c) {
        const real s = from ? student.row(r)[c] : 0, u = all[i](r, c) - s, v = all[j](r, c) - s;
        uv += u * v, uu += u * u, vv += v * v;
      }
      total += uv / (std::sqrt(uu * vv) + 1e-6L) / 4;
    }
    return static_cast<double>(total);
  };
  const auto plain = lk::layer_cosines(all), seen = lk::layer_cosines(all, student.in());
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      CHECK(plain[i * 3 + j] == Approx(naive(i, j, false)).epsilon(1e-12));
      CHECK(seen[i * 3 + j] == Approx(naive(i, j, true)).epsilon(1e-12));
      CHECK(seen[j * 3 + i] == seen[i * 3 + j]);
    }
  CHECK(plain[0] == Approx(1).epsilon(1e-6));
  memory[1].data[7] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(lk::layer_cosines(all),
                    Catch::Matchers::StartsWith("limbeck: layer_cosines is ") && Catch::Matchers::Contains("at row 1"));
  CHECK_THROWS_AS(lk::layer_cosines(all, lk::rows<const double>(student.data.data(), 4, 5)), lk::shape_error);
}
