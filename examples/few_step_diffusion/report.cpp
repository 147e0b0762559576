#include "report.hpp"

#include "../common/metrics.hpp"
#include "../common/picture.hpp"

#include <limbeck/diffusion/measures.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace few_step {

namespace {
constexpr double radius = 1.4, deviation = 0.1;
constexpr std::size_t side = 120;  // pixels of a plane, from -2.2 to 2.2

std::vector<double> on_a_circle() {
  std::vector<double> means;
  for (int k = 0; k < 8; ++k)
    for (const double shift : {0.0, std::numbers::pi / 2}) means.push_back(radius * std::cos(k * std::numbers::pi / 4 - shift));
  return means;
}
/// The pixel of a coordinate, or none.
bool pixel(float x, std::size_t& to) {
  const double at = (static_cast<double>(x) + 2.2) / 4.4 * static_cast<double>(side);
  if (!(at >= 0 && at < static_cast<double>(side))) return false;
  to = static_cast<std::size_t>(at);
  return true;
}
}  // namespace

const lk::gaussian_mixture& eight_gaussians() {
  static const lk::gaussian_mixture all(on_a_circle(), 2, deviation);
  return all;
}

task gaussian_task(std::uint64_t seed) {
  task t{"eight Gaussians", matrix(8192, 2), {}, 0, 64};
  eight_gaussians().sample(lk::random_stream(seed), lk::rows<float>(t.rows.data(), 8192, 2));
  return t;
}

task digit_task(const std::filesystem::path& data) {
  digit_images all = read_digits(data);
  task t{"digits", std::move(all.grey), std::move(all.digits), 10, 192};
  t.rows.array() -= t.rows.mean();
  t.rows /= std::sqrt(t.rows.array().square().mean());
  return t;
}

marks measure(const task& of, const matrix& samples, const std::vector<int>& classes, const matrix& against, mlp* judge) {
  marks m;
  m.energy = lk::energy_distance(samples, against);
  if (of.class_count > 0) {
    m.accuracy = accuracy(judge->forward(samples), classes);
  } else {
    const std::vector<double> means = on_a_circle();
    const auto n = static_cast<std::size_t>(samples.rows());
    const lk::found_modes found = lk::modes_found(samples, lk::rows<const double>(means.data(), 8, 2), 3 * deviation, std::max<std::size_t>(n / 100, 1));
    m.modes = static_cast<double>(found.modes);
    m.near = 100 * found.near;
  }
  return m;
}

void draw_gaussians(const std::filesystem::path& to, const std::vector<std::vector<matrix>>& samples) {
  tiles picture(samples.size(), samples[0].size(), side, side, 1);
  for (std::size_t row = 0; row < samples.size(); ++row)
    for (std::size_t column = 0; column < samples[row].size(); ++column) {
      std::vector<double> ink(side * side);
      const matrix& x = samples[row][column];
      for (Eigen::Index i = 0; i < x.rows(); ++i)
        if (std::size_t a = 0, b = 0; pixel(x(i, 0), a) && pixel(x(i, 1), b)) ink[(side - 1 - b) * side + a] += 0.5;
      for (std::size_t i = 0; i < ink.size(); ++i) picture.set(row, column, i / side, i % side, grey(0.95 - ink[i]));
    }
  picture.write_png(to);
}

void draw_ways(const std::filesystem::path& to, const std::vector<std::vector<matrix>>& ways) {
  constexpr colour colours[] = {{213, 94, 0}, {0, 114, 178}, {0, 158, 115}, {204, 121, 167}, {230, 159, 0}, {86, 180, 233}};
  tiles picture(1, ways.size(), side, side, 2);
  for (std::size_t column = 0; column < ways.size(); ++column) {
    for (std::size_t i = 0; i < side * side; ++i) picture.set(0, column, i / side, i % side, {245, 245, 245});
    const std::vector<matrix>& way = ways[column];
    for (Eigen::Index r = 0; r < way[0].rows(); ++r)
      for (std::size_t k = 0; k + 1 < way.size(); ++k)
        for (int step = 0; step <= 200; ++step) {
          const float share = static_cast<float>(step) / 200;
          const float x = way[k](r, 0) + share * (way[k + 1](r, 0) - way[k](r, 0)), y = way[k](r, 1) + share * (way[k + 1](r, 1) - way[k](r, 1));
          if (std::size_t a = 0, b = 0; pixel(x, a) && pixel(y, b)) picture.set(0, column, side - 1 - b, a, colours[r % 6]);
        }
  }
  picture.write_png(to);
}

void draw_digits(const std::filesystem::path& to, const task& of, const std::vector<matrix>& samples) {
  const float dark = of.rows.maxCoeff(), light = of.rows.minCoeff();
  tiles picture(samples.size(), static_cast<std::size_t>(samples[0].rows()), digit_images::side, digit_images::side, 4);
  for (std::size_t row = 0; row < samples.size(); ++row)
    for (Eigen::Index r = 0; r < samples[row].rows(); ++r)
      for (std::size_t i = 0; i < 64; ++i)
        picture.set(row, static_cast<std::size_t>(r), i / 8, i % 8,
                    grey(static_cast<double>((dark - samples[row](r, static_cast<Eigen::Index>(i))) / (dark - light))));
  picture.write_png(to);
}

}  // namespace few_step
