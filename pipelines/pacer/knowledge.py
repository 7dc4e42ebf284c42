"""What the simulated provider knows: how language models and voice agents get fast, and some capitals.

Plain data for `answers`. Every explanation is one to three spoken sentences, the first of 6 to 20 words.
"""

EXPLANATIONS: dict[str, str] = {
    r"wafer[- ]scale|cerebras|wafer": (
        "A wafer scale chip keeps the whole model in memory right beside its cores. "
        "Nothing has to be fetched from far away for each token, and so the tokens come many times faster than "
        "from a GPU."
    ),
    r"memory bandwidth": (
        "Memory bandwidth is how quickly a chip can read the weights of a model. "
        "Every new token needs all of them, so it usually decides how many tokens per second you get."
    ),
    r"speculative decoding": (
        "In speculative decoding a small model guesses a few tokens and the large model checks them at once. "
        "Each correct guess saves one slow step, and the answer stays the same."
    ),
    r"speculat\w*": (
        "Speculation means that the work on an answer starts before you have finished speaking. "
        "If your last words change the question, that work is thrown away and started again."
    ),
    r"quantization": (
        "Quantization stores the weights of a model with fewer bits, so less memory has to be read. "
        "That makes each token faster, at a small cost in quality."
    ),
    r"batching": (
        "Batching lets one pass over the weights serve many requests at the same time. "
        "It is good for the cost of a server, but a single user may wait a little longer."
    ),
    r"prompt caching|key value cach\w*|caching": (
        "Caching keeps the work done on the earlier part of a conversation, so it is not repeated. "
        "The first token then comes sooner, above all when the prompt is long."
    ),
    r"flash attention|attention": (
        "Attention lets every word of a text look at all the others and pick what matters to it. "
        "It is the part of a language model that grows most with the length of the text."
    ),
    r"transformers?|neural networks?|machine learning|gradient descent|fine tuning": (
        "A neural network learns from examples by changing its weights a little after every mistake. "
        "A transformer is the kind that reads a whole text at once, and nearly all language models are built that way."
    ),
    r"streaming": (
        "Streaming means that the answer is sent word by word while it is still being written. "
        "A voice agent can then speak the first sentence while the model is busy with the second."
    ),
    r"turn detection|end of (?:a )?turn|endpointing": (
        "Turn detection decides whether you have finished or are only pausing for a moment. "
        "Waiting too long feels slow, and not waiting long enough cuts people off."
    ),
    r"voice activity detection": (
        "Voice activity detection tells speech from silence and noise many times per second. "
        "Everything else in a voice agent waits for its signal."
    ),
    r"speech recognition|transcription": (
        "Speech recognition turns the sound of your voice into text for the language model. "
        "It can run while you are still talking, so that only the last words are left at the end."
    ),
    r"text to speech|synthesi\w+": (
        "Text to speech turns the sentences of the answer into sound that you can hear. "
        "It starts with the first sentence, so a short first sentence is heard early."
    ),
    r"tokeni[sz]ation|a token|tokens are": (
        "A token is a short piece of text, often a word or a part of one. "
        "Language models read and write tokens, and their speed is counted in tokens per second."
    ),
    r"interruption handling|interruptions?|barge[- ]in": (
        "When you speak while I am talking, I stop at once and listen to you. "
        "Only what you have really heard stays in the conversation."
    ),
    r"echo cancellation|noise suppression": (
        "It removes unwanted sound from the microphone, such as my own voice or a fan in the room. "
        "Without it an agent may interrupt itself."
    ),
    r"sentence splitting": (
        "Sentence splitting finds the end of the first sentence while the answer is still coming. "
        "The sooner that end is certain, the sooner you hear something."
    ),
    r"function calling|tool use": (
        "With function calling a model can ask the program around it to look something up or do something. "
        "The result goes back to the model, which then tells you about it."
    ),
    r"model routing": (
        "Model routing sends easy questions to a small fast model and hard ones to a large model. "
        "It saves money, and most answers come sooner."
    ),
    r"retrieval": (
        "Retrieval looks up the passages that fit a question and gives them to the model. "
        "The answer can then rest on documents instead of on memory."
    ),
    r"beam search": (
        "Beam search follows several possible continuations at the same time and keeps the best ones. "
        "It is slower than taking the most likely word at each step."
    ),
    r"low latency(?: inference)?|latency": (
        "Latency is the time from the end of your question to the first sound of the answer. "
        "In conversation people leave each other about two tenths of a second, and a second already feels slow."
    ),
}

CAPITALS: dict[str, str] = {
    "Argentina": "Buenos Aires",
    "Australia": "Canberra",
    "Brazil": "Brasilia",
    "Canada": "Ottawa",
    "Chile": "Santiago",
    "China": "Beijing",
    "Egypt": "Cairo",
    "Finland": "Helsinki",
    "France": "Paris",
    "Germany": "Berlin",
    "Greece": "Athens",
    "India": "New Delhi",
    "Ireland": "Dublin",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Kenya": "Nairobi",
    "Mexico": "Mexico City",
    "Norway": "Oslo",
    "Peru": "Lima",
    "Poland": "Warsaw",
    "Portugal": "Lisbon",
    "Spain": "Madrid",
    "Sweden": "Stockholm",
    "Thailand": "Bangkok",
    "Turkey": "Ankara",
    "Vietnam": "Hanoi",
}
