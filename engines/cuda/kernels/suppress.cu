// Greedy class-aware suppression of candidates that are sorted best first, one block an image.
//
// Compiled without fused multiply-add, so that each comparison falls as it does in
// engines/families/suppression.py. MAX_CANDIDATES is a compile option.

struct Box {
    float left, top, right, bottom;  // in pixels of the model's input
};

struct Row {
    Box box;
    float score, class_id;
};

// Whether intersection / union > iou, written without a division.
static __device__ bool overlap(const Box& a, const Box& b, float iou, float one_plus_iou) {
    float width = fmaxf(fminf(a.right, b.right) - fmaxf(a.left, b.left), 0.0f);
    float height = fmaxf(fminf(a.bottom, b.bottom) - fmaxf(a.top, b.top), 0.0f);
    float areas = (a.right - a.left) * (a.bottom - a.top) + (b.right - b.left) * (b.bottom - b.top);
    return width * height * one_plus_iou > iou * areas;
}

// boxes [images, num_candidates], scores and classes alike; num_candidates <= MAX_CANDIDATES.
// out [images, 1 + max_kept] rows: the first has the number of boxes kept where others have `left`,
// the kept follow, best first; what lies behind them is unspecified.
extern "C" __global__ void suppress(const Box* boxes, const float* scores, const int* classes,
                                    Row* out, int num_candidates, int max_kept, float confidence,
                                    float iou, float one_plus_iou, float across,
                                    float one_plus_across) {
    __shared__ Box box[MAX_CANDIDATES];
    __shared__ float score[MAX_CANDIDATES];
    __shared__ int class_id[MAX_CANDIDATES];
    __shared__ bool is_gone[MAX_CANDIDATES];

    int first = blockIdx.x * num_candidates;
    Row* rows = out + (size_t)blockIdx.x * (1 + max_kept);
    for (int i = threadIdx.x; i < num_candidates; i += blockDim.x) {
        box[i] = boxes[first + i];
        score[i] = scores[first + i];
        class_id[i] = classes[first + i];
        is_gone[i] = false;
    }
    __syncthreads();

    int num_kept = 0;
    for (int i = 0; i < num_candidates && num_kept < max_kept && score[i] >= confidence; ++i) {
        // Only kept boxes remove others, and each of them ends with a barrier: is_gone[i] is final.
        if (is_gone[i]) continue;
        for (int j = i + 1 + threadIdx.x; j < num_candidates; j += blockDim.x)
            if (class_id[j] == class_id[i] ? overlap(box[i], box[j], iou, one_plus_iou)
                                           : overlap(box[i], box[j], across, one_plus_across))
                is_gone[j] = true;
        ++num_kept;
        if (threadIdx.x == 0) rows[num_kept] = {box[i], score[i], (float)class_id[i]};
        __syncthreads();
    }
    if (threadIdx.x == 0) rows[0].box.left = (float)num_kept;
}
