// An objective over what the package's options chose: the loss and its gradient, checked by their signs.
#include <limbeck/limbeck.hpp>

#ifdef WITH_EIGEN
#include <limbeck/eigen.hpp>
#endif
#ifdef WITH_XTENSOR
#include <limbeck/xtensor.hpp>
#endif
#ifdef WITH_THRUST
#include <limbeck/thrust.hpp>
#endif
#ifdef WITH_TRAINER
#include <limbeck/trainer.hpp>
#endif
#ifdef WITH_IO
#include <limbeck/io.hpp>
#endif
#ifdef WITH_DLPACK
#include <limbeck/dlpack.hpp>
#endif
#ifdef WITH_TORCH
#include <limbeck/torch.hpp>
#endif
#ifdef WITH_MPI
#include <limbeck/mpi.hpp>
#endif
#ifdef WITH_OPENMP
#include <omp.h>
#endif

#include <cmath>
#include <cstdio>
#include <vector>

namespace lk = limbeck;

int main() {
  const std::vector<float> student{1.0F, 2.0F, 3.0F, 0.5F, 0.5F, 4.0F};
  const std::vector<float> teacher{1.5F, 1.0F, 3.5F, 0.0F, 1.0F, 2.0F};
  std::vector<float> gradient(student.size());
  const auto objective = 1.0 * lk::at_temperature(2.0, lk::forward_kl{});
  lk::workspace workspace;
  const lk::rows<const float> s(student.data(), 2, 3), t(teacher.data(), 2, 3);  // two samples, three classes
  const double loss = objective(s, t, lk::into(lk::rows<float>(gradient.data(), 2, 3)), workspace);
  std::printf("limbeck %d.%d.%d: loss %g, first gradient %g\n", LIMBECK_VERSION_MAJOR, LIMBECK_VERSION_MINOR,
              LIMBECK_VERSION_PATCH, loss, static_cast<double>(gradient[0]));
  // The student gives the first class of the first row less than the teacher does, so the loss falls as it rises.
  bool good = std::isfinite(loss) && loss > 0 && gradient[0] < 0;

#ifdef WITH_EIGEN
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const matrix> eigen_s(student.data(), 2, 3), eigen_t(teacher.data(), 2, 3);
  good = good && objective.value(eigen_s, eigen_t) == loss;
#endif
#ifdef WITH_XTENSOR
  const xt::xtensor<float, 2> xtensor_s{{1.0F, 2.0F, 3.0F}, {0.5F, 0.5F, 4.0F}};
  const xt::xtensor<float, 2> xtensor_t{{1.5F, 1.0F, 3.5F}, {0.0F, 1.0F, 2.0F}};
  good = good && objective.value(xtensor_s, xtensor_t) == loss;
#endif
#ifdef WITH_OPENMP
  good = good && omp_get_max_threads() >= 1;
#endif
#ifdef WITH_MPI
  int begun = 1;
  MPI_Initialized(&begun);  // it is linked; to begin needs what starts ranks
  good = good && !begun;
#endif
  return good ? 0 : 1;
}
