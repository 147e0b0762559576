// Compiled, never run: the kernels of objectives that take every path of the sweep. run_on_gpu.cu runs them.
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

// Two tensors, one temperature: the objective of most trainings.
double soft(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t, thrust::device_vector<float>& g,
            std::size_t n, std::size_t c, cudaStream_t stream) {
  static const auto objective = lk::at_temperature(4.0, lk::forward_kl{});
  lk::device_workspace ws(stream);
  return objective(lk::on_device(s, n, c), lk::on_device(t, n, c), lk::into(lk::on_device(g, n, c)), ws);
}

// No round trip to the device.
void deferred(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t,
              const thrust::device_vector<int>& labels, thrust::device_vector<float>& g, std::size_t n, std::size_t c,
              lk::device_workspace& ws, lk::device_result& result) {
  static const auto objective = 0.1 * lk::cross_entropy{.smoothing = 0.05} +
                                0.9 * lk::at_temperature(2.0, lk::forward_kl{} + 0.3 * lk::reverse_kl{}) +
                                lk::at_temperature(2.0, lk::jensen_shannon{});
  objective(lk::on_device(s, n, c), lk::on_device(t, n, c), labels, lk::into(lk::on_device(g, n, c)), ws,
            lk::deferred(result));
}

// Domains, learned and per-row temperatures, weights, masks, doubles.
double everything(const double* s, const double* t, double* g, std::size_t n, std::size_t c,
                  const thrust::device_vector<std::int64_t>& labels, const thrust::device_vector<double>& temperatures,
                  const thrust::device_vector<float>& weights, const thrust::device_vector<unsigned char>& mask,
                  thrust::device_vector<double>& losses, double& learned) {
  const auto objective = lk::dkd{} + lk::at_temperature(lk::per_row{}, lk::total_variation{}) +
                         lk::at_temperature(lk::learned(learned), lk::squared_hellinger{}) +
                         lk::at_temperature(3.0, lk::on<lk::masked>(lk::alpha_divergence{.alpha = 0.3})) + lk::mse{};
  lk::device_workspace ws;
  return objective(lk::device_rows<const double>(s, n, c), lk::device_rows<const double>(t, n, c), labels,
                   lk::into(lk::device_rows<double>(g, n, c)), lk::row_temperatures(temperatures),
                   lk::row_weights(weights), lk::class_mask(mask), lk::row_losses(losses), ws);
}

double values(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t, std::size_t n, std::size_t c,
              const thrust::device_vector<float>& probabilities) {
  lk::device_workspace ws;
  const double a = lk::objective(lk::mse{}).value(lk::on_device(s, n, c), lk::on_device(t, n, c), ws);
  const double b = lk::objective(lk::cross_entropy{})
                       .value(lk::on_device(s, n, c), lk::soft_labels(lk::on_device(probabilities, n, c)), ws);
  return a + b;
}

// Tokens: padded vocabularies, labels of the next token.
double tokens(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t, thrust::device_vector<float>& g,
              const thrust::device_vector<int>& labels, std::size_t n, std::size_t c, std::size_t padded, std::size_t time,
              cudaStream_t stream) {
  const auto objective = lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
  lk::device_workspace ws(stream);
  return objective(lk::first_classes(c, lk::on_device(s, n, padded)), lk::on_device(t, n, c), lk::next_tokens(labels, time),
                   lk::into(lk::first_classes(c, lk::on_device(g, n, padded))), ws);
}
