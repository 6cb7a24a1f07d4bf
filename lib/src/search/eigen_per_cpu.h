// Eigen for code that is compiled once for each instruction set: X_baseline.cpp and X_avx2.cpp both
// include X_impl.h. If two of them emitted a template under one name, the linker would merge them,
// and an old processor would meet instructions that it lacks. Therefore all code in an X_impl.h,
// Eigen included, has names of its own in each file (RENAS_CPU_NAMESPACE), and uses no standard
// containers.
#ifndef RENAS_CPU_NAMESPACE
#error "include from X_baseline.cpp or X_avx2.cpp only"
#endif

#pragma once

#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <Eigen/Core>
