from keypoints import backend

backend.configure()
