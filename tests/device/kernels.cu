// Compiled, never run: objectives whose kernels static_proof.py looks at, to the registers and bytes of each. The calls do
// not wait, so that there is nothing here but kernels.
#include <limbeck/diffusion.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

namespace {

/// The arguments of one call: rows in device memory.
template <class T>
struct call {
  std::size_t n, c;
  const T *student, *teacher;
  T* gradient;
  const thrust::device_vector<int>& labels;
  lk::device_workspace& ws;
  lk::device_result& result;

  auto s() const { return lk::device_rows<const T>(student, n, c); }
  auto t() const { return lk::device_rows<const T>(teacher, n, c); }
  auto g() const { return lk::into(lk::device_rows<T>(gradient, n, c)); }
};

}  // namespace

void kl(const call<float>& to) {
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{});
  objective(to.s(), to.t(), to.g(), to.ws, lk::deferred(to.result));
}

void labels_and_kl(const call<float>& to) {
  const auto objective = 0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{});
  objective(to.s(), to.t(), to.labels, to.g(), to.ws, lk::deferred(to.result));
}

void four_terms(const call<float>& to) {
  const auto objective =
      lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{} + lk::reverse_kl{} + lk::jensen_shannon{});
  objective(to.s(), to.t(), to.labels, to.g(), to.ws, lk::deferred(to.result));
}

void decoupled(const call<float>& to) {
  const auto objective = lk::objective(lk::dkd{});
  objective(to.s(), to.t(), to.labels, to.g(), to.ws, lk::deferred(to.result));
}

void learned_temperature(const call<float>& to, double& temperature) {
  const auto objective = lk::at_temperature(lk::learned(temperature), lk::forward_kl{});
  objective(to.s(), to.t(), to.g(), to.ws, lk::deferred(to.result));
}

void kl_of_doubles(const call<double>& to) {
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{});
  objective(to.s(), to.t(), to.g(), to.ws, lk::deferred(to.result));
}

void distribution_matching(const call<float>& to, const float* noisy, const thrust::device_vector<float>& times) {
  const lk::device_rows<const float> x_t(noisy, to.n, to.c);
  const auto at = lk::levels(lk::rectified{}, times);
  const lk::predicts_velocity velocity;
  const auto real = lk::to_clean(velocity, to.t(), x_t, at), fake = lk::to_clean(velocity, to.s(), x_t, at);
  lk::objective{lk::specified_gradient{}}(to.s(), lk::distribution_matching(to.s(), real, fake), to.g(), to.ws, lk::deferred(to.result));
}
