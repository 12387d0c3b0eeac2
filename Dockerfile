# docker build -t labelclean .
# docker run --rm -it -v "$PWD:/data" labelclean filter images labels.csv
FROM python:3.11-slim
# The index of the PyTorch for CPUs, which is ten times smaller, stands on pytorch.org: give it by
# --build-arg TORCH_INDEX=... ; without it the image is for NVIDIA GPUs too.
ARG TORCH_INDEX
WORKDIR /source
COPY constraints.txt ./
RUN grep -E '^(torch|torchvision)==' constraints.txt > torch.txt \
    && pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --requirement torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY labelclean ./labelclean
RUN pip install --no-cache-dir --constraint constraints.txt . \
    && useradd --create-home labelclean
USER labelclean
WORKDIR /data
ENV LABELCLEAN_CACHE=/tmp/labelclean
ENTRYPOINT ["labelclean"]
