// A const matrix in the place of the gradient.
// expect: limbeck: into(gradient) needs a tensor that can be written; this one is const
#include <limbeck/eigen.hpp>

#include <vector>

namespace lk = limbeck;

const Eigen::MatrixXf s = Eigen::MatrixXf::Random(2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  Eigen::MatrixXf g = s;
  lk::into(g);
#else
  lk::into(s);
#endif
}
