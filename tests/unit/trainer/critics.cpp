// A critic in the trainer: real rows, fake ones and slopes as outputs by name; parts of a batch, masks, and a run that goes on.

#include "catch.hpp"
#include "stops.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/trainer.hpp>

#include <cmath>
#include <filesystem>
#include <span>
#include <vector>

namespace lk = limbeck;

namespace {

using view = lk::rows<const double>;

struct drawn {
  std::vector<double> inputs;
  std::vector<unsigned char> row_mask;
};
/// A row is a real number and a generated one; every ninth is masked, and no number.
struct pairs {
  std::vector<double> x;
  explicit pairs(std::size_t n) {
    lk::random_stream random(6);
    for (std::size_t r = 0; r < n; ++r) x.push_back(0.75 + random.normal()), x.push_back(-0.75 + random.normal());
  }
  std::size_t size() const { return x.size() / 2; }
  drawn batch(std::span<const std::size_t> rows) const {
    drawn b;
    for (const std::size_t r : rows) {
      const bool counts = r % 9 != 4;
      b.inputs.push_back(counts ? x[2 * r] : std::nan("")), b.inputs.push_back(counts ? x[2 * r + 1] : std::nan(""));
      b.row_mask.push_back(counts);
    }
    return b;
  }
};

/// D(x) = a + b x + c x^2/2, and its slope b + c x at real rows.
class quadratic {
 public:
  auto forward(const std::vector<double>& x) {
    const std::size_t n = x.size() / 2;
    real_.resize(n), fake_.resize(n), of_real_.resize(n), of_fake_.resize(n), slope_.resize(n);
    for (std::size_t r = 0; r < n; ++r) {
      real_[r] = x[2 * r], fake_[r] = x[2 * r + 1];
      of_real_[r] = at(real_[r]), of_fake_[r] = at(fake_[r]), slope_[r] = w_[1] + w_[2] * real_[r];
    }
    return lk::outputs{lk::output<"real">(view(of_real_.data(), n, 1)), lk::output<"fake">(view(of_fake_.data(), n, 1)),
                       lk::output<"slope">(view(slope_.data(), n, 1))};
  }
  template <class Gradients>
  void backward(const Gradients& all) {
    const auto add = [&](const auto& g, const std::vector<double>& x) {
      for (std::size_t r = 0; r < x.size(); ++r) {
        if (g(r, 0) == 0) continue;  // a row that does not count is no number
        g_[0] += g(r, 0), g_[1] += g(r, 0) * x[r], g_[2] += g(r, 0) * x[r] * x[r] / 2;
      }
    };
    add(all.template of<"real">(), real_), add(all.template of<"fake">(), fake_);
    const auto& g = all.template of<"slope">();
    for (std::size_t r = 0; r < real_.size(); ++r)
      if (g(r, 0) != 0) g_[1] += g(r, 0), g_[2] += g(r, 0) * real_[r];
  }
  void zero_gradients() { g_.assign(3, 0); }
  std::vector<std::span<double>> parameters() { return {std::span(w_)}; }
  const std::vector<double>& weights() const { return w_; }
  const std::vector<double>& gradients() const { return g_; }

 private:
  double at(double x) const { return w_[0] + w_[1] * x + w_[2] * x * x / 2; }
  std::vector<double> w_ = std::vector<double>(3, 0.1), g_ = std::vector<double>(3), real_{}, fake_{}, of_real_{}, of_fake_{}, slope_{};
};
struct descent {
  void step(quadratic& critic, lk::progress) const {
    for (std::size_t i = 0; i < 3; ++i) critic.parameters()[0][i] -= 0.5 * critic.gradients()[i];
  }
};

std::vector<double> run(double gamma, const lk::fit_settings& how, std::uint64_t stop = 0) {
  pairs data(2000);
  quadratic critic;
  lk::trainer trainer{critic, lk::no_teacher{},
                      lk::at<"real">(lk::critic_logistic{lk::critic_role::real}) + lk::at<"fake">(lk::critic_logistic{lk::critic_role::fake}) +
                          0.5 * gamma * lk::at<"slope">(lk::gradient_penalty{}),
                      descent{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, toy::stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  return critic.weights();
}

}  // namespace

TEST_CASE("a critic finds the ratio of two densities, less where its slope is paid for", "[trainer][critics]") {
  const auto w = run(0, {.steps = 100, .batch = 2000});  // log N(3/4, 1)/N(-3/4, 1) = 3/2 x
  CHECK(std::fabs(w[0]) < 0.15);
  CHECK(std::fabs(w[1] - 1.5) < 0.2);
  CHECK(std::fabs(w[2]) < 0.2);
  CHECK(run(0.5, {.steps = 100, .batch = 2000})[1] < 0.7 * w[1]);
}

TEST_CASE("parts of a critic's batch are the batch, and its run goes on bit for bit", "[trainer][critics][resume]") {
  const auto whole = run(2, {.steps = 12, .batch = 90}), parts = run(2, {.steps = 12, .batch = 90, .micro_batch = 17});
  for (std::size_t i = 0; i < 3; ++i) CHECK(parts[i] == Approx(whole[i]).epsilon(1e-12));
  const std::string file = "critics_resume.checkpoint";
  std::filesystem::remove(file);
  lk::fit_settings how{.steps = 12, .batch = 90, .micro_batch = 17};
  how.checkpoint = file;
  how.checkpoint_every = 1;
  run(2, how, 5);
  CHECK(run(2, how) == parts);
  std::filesystem::remove(file);
}
