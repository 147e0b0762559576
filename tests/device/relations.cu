// Compiled, never run: losses of whole batches in device memory, alone, together and beside losses of rows; products by cuBLAS.
#include <limbeck/cublas.hpp>
#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>

namespace lk = limbeck;

double between_samples(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t,
                       thrust::device_vector<float>& g, std::size_t n, std::size_t c, lk::device_workspace& ws,
                       lk::device_result& later) {
  const auto objective = lk::linear_cka{} + 0.5 * lk::pkt{} + lk::similarity_preserving{} + lk::symmetric_info_nce{} +
                         lk::correlation_congruence{} + lk::marginal_distance_matrix{} + lk::hint{};
  objective(lk::on_device(s, n, c), lk::on_device(t, n, c), lk::into(lk::on_device(g, n, c)), ws, lk::deferred(later));
  return objective.value(lk::on_device(s, n, c), lk::on_device(t, n, c), ws);
}

double beside_rows(const thrust::device_vector<double>& s, const thrust::device_vector<double>& t,
                   const thrust::device_vector<int>& labels, thrust::device_vector<double>& g, std::size_t n, std::size_t c) {
  lk::cublas_products blas;
  lk::device_workspace ws;
  ws.use(blas);
  const auto objective = lk::cross_entropy{} + 0.1 * lk::linear_cka{};
  return objective(lk::on_device(s, n, c), lk::on_device(t, n, c), labels, lk::into(lk::on_device(g, n, c)), ws);
}

double between_layers(const thrust::device_vector<float>& s, const thrust::device_vector<float>& t,
                      const thrust::device_vector<float>& weights, thrust::device_vector<float>& g, std::size_t n, std::size_t c,
                      lk::projection<float, lk::device_memory>& p, lk::channel_variances<float, lk::device_memory>& v,
                      lk::device_workspace& ws) {
  const auto objective = lk::projected(p, lk::vid(v), 4) + lk::attention_transfer{.student_channels = 4} + lk::ickd{.channels = 4} +
                         lk::hard_quantile{};
  return objective(lk::on_device(s, n, c), lk::on_device(t, n, c), lk::row_weights(weights), lk::add_to(lk::on_device(g, n, c)), ws);
}

double of_pairs_and_triplets(const thrust::device_vector<double>& s, const thrust::device_vector<double>& t,
                             thrust::device_vector<double>& g, std::size_t n, std::size_t c) {
  const auto objective = lk::rkd_distance{} + 2.0 * lk::rkd_angle{} + lk::dist{} + lk::nst{.positions = 4} + lk::sinkhorn{};
  return objective(lk::on_device(s, n, c), lk::on_device(t, n, c), lk::into(lk::on_device(g, n, c)));
}
