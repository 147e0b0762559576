#include <limbeck/eigen.hpp>

#include <type_traits>

namespace lk = limbeck;

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
const Eigen::MatrixXf a;
static_assert(lk::tensor<Eigen::MatrixXf> && lk::tensor<Eigen::MatrixXd> && lk::tensor<row_major>);
static_assert(lk::tensor<Eigen::ArrayXXf> && lk::tensor<Eigen::Matrix<double, 3, 4>>);
static_assert(lk::tensor<Eigen::Map<row_major>> && lk::tensor<Eigen::Map<const row_major>>);
static_assert(lk::tensor<Eigen::Ref<const Eigen::MatrixXf>>);
static_assert(lk::tensor<decltype(a.transpose())> && lk::tensor<decltype(a.block(0, 0, 1, 1))>);
static_assert(lk::tensor<decltype(lk::samples_in_columns(a))>);
// expressions have no memory, and integers are no logits
static_assert(!lk::tensor<decltype(a + a)> && !lk::tensor<decltype(2 * a)> && !lk::tensor<Eigen::MatrixXi>);
static_assert(std::is_same_v<lk::tensor_traits<row_major>::gradient, row_major>);
static_assert(std::is_same_v<lk::tensor_traits<Eigen::MatrixXf>::gradient, Eigen::MatrixXf>);

}  // namespace
