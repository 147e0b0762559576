#include "generators.hpp"
#include "turns.hpp"

#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

namespace few_step {

namespace {

/// The generator and behind it both denoisers, frozen: three outputs whose gradients all reach the generator.
class judged_generator {
 public:
  judged_generator(generator& by, denoiser& real, denoiser& fake) : by_(by), real_(real), fake_(fake) {}

  auto forward(const draws& in) {
    const matrix& x = by_.forward(in);
    at_.times = in.times, at_.classes = in.conditions;
    at_.x.resize(x.rows(), x.cols());
    lk::fill(lk::noised(x, in.noise, lk::levels(path, at_.times)), at_.x);
    of_data_ = clean_of(real_.forward(at_), at_);
    of_samples_ = clean_of(fake_.forward(at_), at_);
    return lk::outputs{lk::output<"sample">(x), lk::output<"real">(of_data_), lk::output<"fake">(of_samples_)};
  }
  template <class Gradients>
  void backward(const Gradients& of) {
    matrix back = of.template of<"sample">();
    through(real_, of.template of<"real">(), back);
    through(fake_, of.template of<"fake">(), back);
    by_.backward(back);
  }
  void zero_gradients() { by_.zero_gradients(); }
  auto parameters() { return by_.parameters(); }
  auto gradients() { return by_.gradients(); }

 private:
  /// clean = cos t x_t - sin t v(x_t), x_t = cos t x + ...
  void through(denoiser& net, const matrix& gradient, matrix& back) const {
    matrix by_answer(gradient.rows(), gradient.cols());
    lk::fill(lk::consistency_slope(lk::trigonometric_boundary{}, gradient, lk::levels(path, at_.times)), by_answer);
    const matrix& behind = net.by_input(by_answer);
    for (Eigen::Index r = 0; r < back.rows(); ++r) {
      const auto c = static_cast<float>(std::cos(at_.times[static_cast<std::size_t>(r)]));
      back.row(r) += c * (behind.row(r) + c * gradient.row(r));
    }
  }
  generator& by_;
  denoiser &real_, &fake_;
  question at_;
  matrix of_data_, of_samples_;
};

/// The three gradients of what the student gave.
struct identity {
  template <class Outputs>
  auto answer(const drawn&, const Outputs& given) const {
    const auto loss = lk::score_identity(given.template of<"sample">(), given.template of<"real">(), given.template of<"fake">(), {.alpha = 1});
    return lk::outputs{lk::output<"sample">(loss.by_sample()), lk::output<"real">(loss.by_real()), lk::output<"fake">(loss.by_fake())};
  }
};

}  // namespace

denoiser score_identity(const lesson& l, int steps) {
  denoiser net = l.teacher, average = net, fake = net, real = net;
  generator student(net, steps);
  judged_generator judged(student, real, fake);
  const generator_data draws{l.data, student};
  const lk::specified_gradient given{};
  lk::alternating(
      {.rounds = static_cast<std::size_t>(l.updates), .seed = l.seed},
      lk::turn("fake", lk::trainer{fake, velocity_of_rows{}, lk::objective{lk::mse{}}, adam(constant(0.002))},
               generated_data{student, draws}, steps_of(l, 5)),
      lk::turn("generator",
               lk::trainer{judged, identity{}, lk::objective{lk::at<"sample">(given) + lk::at<"real">(given) + lk::at<"fake">(given)},
                           adam(lk::cosine(l.rate, 0.0))},
               draws, steps_of(l, 1), lk::averaging(lk::averager(lk::ema{.decay = 0.99}, lk::in_place(average.parameters())), student)));
  return average;
}

}  // namespace few_step
